"""Growth: whether an operation takes longer the more customers there are."""

import random
import shutil
import statistics
import sys

from . import customers
from .servers import Caller
from .wrk import Wrk

SIZES = [10_000, 100_000, 1_000_000, 3_000_000]
# Up to so many customers are exported with secrets too, which puts an entry into each one's history.
WITH_SECRETS = 100_000
# What a customer takes of the disk while it grows, in bytes: its rows, indexes and lines, with room.
ROOM = 8_000


def growth(programs, sizes, seconds, rounds, depth):
    """One database, grown step by step through the import; the same operations after each step."""
    free, needed = shutil.disk_usage(programs.folder).free, sizes[-1] * ROOM
    if free < needed:
        sys.exit(f"{sizes[-1]:,} customers need about {needed / 1e9:.0f} GB of disk, {free / 1e9:.0f} are free")
    programs.postgres.psql("create database growth")
    programs.command("growth", "migrate")
    server = programs.service("growth")
    token = programs.token()
    steps, there = [], 0
    for size in sizes:
        taken = programs.grow("growth", there, size)
        there = size
        told = {"customers": size, "import": taken,
                "megabytes": int(programs.postgres.psql(
                    "select pg_database_size('growth') / 1048576"))}
        caller, wrk = Caller(server, token), Wrk(programs.folder, programs.postgres, token, size)
        told["operations"] = operations(caller, wrk, server, seconds, rounds)
        if page := deep(Caller(server, token), depth, size):
            told["deep"] = {"depth": depth, **deep_pages(wrk, server, seconds, rounds, page)}
        told["export"] = export(programs, size)
        if size <= WITH_SECRETS:
            told["secrets"] = export(programs, size, "--with-secrets")
        steps.append(told)
    return {"seconds": seconds, "rounds": rounds, "steps": steps}


def operations(caller, wrk, server, seconds, rounds):
    """The median latency and the rate of each operation at one connection, in each round."""
    asked = customers.searches(wrk.count, random.Random(wrk.count))
    for kind, bodies in asked.items():
        page = caller.ask("POST", "/customers/search", bodies[0])
        expected = 50 if kind == "status" else 1
        caller.expect(len(page["data"]) == expected, f"a search by {kind} finds {len(page['data'])}")
    first = caller.ask("GET", "/customers")
    caller.expect(len(first["data"]) == 50, "the first page is not full")
    steps = {
        "read": {"kind": "get"},
        "first page": {"kind": "page", "page": "/customers"},
        **{f"search by {kind}": {"kind": "search", "searches": bodies} for kind, bodies in asked.items()},
        # Last, as it alone writes.
        "create": {"kind": "post"},
    }
    found = {name: [] for name in steps}
    # The first round warms up.
    for number in range(rounds + 1):
        for name, step in steps.items():
            measured = wrk.load(server, connections=1, seconds=seconds, **step)
            if number:
                found[name].append(measured)
        wrk.postgres.settle("growth")
    for name, measured in found.items():
        median = statistics.median(one["p50"] for one in measured)
        print(f"{wrk.count:9,} customers, {name:23}: median {median:.3f} ms", flush=True)
    return found


def deep(caller, depth, size):
    """The path of the page at a depth, found by walking there; none where there are not so many."""
    if size < depth * 50:
        return None
    path = "/customers"
    for _ in range(depth - 1):
        path = f"/customers?cursor={caller.ask('GET', path)['nextCursor']}"
    page = caller.ask("GET", path)
    caller.expect(len(page["data"]) == 50, "the deep page is not full")
    return path


def deep_pages(wrk, server, seconds, rounds, path):
    """The first page and the deep one, in turn."""
    pairs = [(wrk.load(server, "page", 1, seconds, page="/customers"),
              wrk.load(server, "page", 1, seconds, page=path)) for _ in range(rounds)]
    first, far = (list(each) for each in zip(*pairs))
    print(f"{wrk.count:9,} customers, deep page: median {far[0]['p50']:.3f} ms, first {first[0]['p50']:.3f} ms")
    return {"first": first, "far": far}


def export(programs, size, *options):
    """All customers into a file, which goes again."""
    lines = programs.folder / "export.ndjson"
    took = programs.timed("growth", "export", *options, "--output", lines)
    count = int(took["told"].split()[0])
    lines.unlink()
    if count < size:
        sys.exit(f"{count} of {size} customers were exported")
    told = {"lines": count, "rate": count / took["seconds"], **took}
    print(f"{size:9,} customers, {' '.join(['export', *options])}: {told['rate']:.0f} a second, {told['memory']:.0f} MB", flush=True)
    return told
