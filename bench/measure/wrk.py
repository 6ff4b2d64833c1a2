"""The client: wrk, with its requests in Lua."""

import os
import random
import re
import subprocess
import sys
import time

from . import customers, system

# Of a kind of request, the Lua function that makes the next one.
REQUESTS = {
    "get": 'return wrk.format("GET", path(), headers)',
    "post": 'return wrk.format("POST", "/customers", headers, example)',
    "patch": """return wrk.format("PATCH", path(), headers,
  string.format('{"middleName":"M%d"}', math.random(1000000)))""",
    "search": 'return wrk.format("POST", "/customers/search", headers, searches[math.random(#searches)])',
    "page": 'return wrk.format("GET", page, headers)',
    # Of ten requests eight read, one creates, one changes.
    "mixed": "local n = math.random(10); return (n == 1 and post or n == 2 and patch or get)()",
}

LUA = """
local headers = {["Authorization"] = "Bearer " .. os.getenv("TOKEN"), ["Content-Type"] = "application/json"}
local threads = 0
function setup(thread) thread:set("nth", threads); threads = threads + 1 end
function init() math.randomseed(SEED + nth) end
local function path() return string.format("/customers/IDS", math.random(CUSTOMERS)) end
local example = [==[EXAMPLE]==]
local searches = {SEARCHES}
local page = "PAGE"
local function get() GET end
local function post() POST end
local function patch() PATCH end
function request() REQUEST end
DELAY
function done(summary, latency)
  local errors = summary.errors
  io.write(string.format("RESULT %d %d %d %d %d %d %d %d\\n", summary.requests, summary.duration,
    errors.status + errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50), latency:percentile(90), latency:percentile(99), latency:percentile(99.9),
    latency.max))
end
"""

# How long a connection waits before its next request: exponentially spread, so that requests come as
# independent callers' do; in the whole milliseconds that wrk knows. It takes a request's time from
# when it is written, so the wait is not in it.
DELAY = "function delay() return math.floor(0.5 - MEAN * math.log(1 - math.random())) end"

EXAMPLE = open(customers.EXAMPLE).read()


def _script(kind, count, page, searches, delay):
    parts = {
        "SEED": str(random.randrange(10**9)), "IDS": "00000000-0000-7000-8000-%012x",
        "CUSTOMERS": str(count), "EXAMPLE": EXAMPLE, "PAGE": page, "REQUEST": REQUESTS[kind],
        "SEARCHES": ",\n".join(f"[==[{body}]==]" for body in searches or []),
        "GET": REQUESTS["get"], "POST": REQUESTS["post"], "PATCH": REQUESTS["patch"],
        "DELAY": DELAY.replace("MEAN", str(delay)) if delay is not None else "",
    }
    return re.sub(r"\b(?:" + "|".join(parts) + r")\b", lambda found: parts[found[0]], LUA)


class Wrk:
    """Loads servers with requests, and tells what that cost whom."""

    def __init__(self, folder, postgres, token, count):
        self.folder, self.postgres, self.token, self.count = folder, postgres, token, count

    def load(self, server, kind, connections, seconds, page="", searches=None, delay=None):
        """Requests of a kind for some seconds. Any answer that is no success ends the benchmark."""
        script = self.folder / "requests.lua"
        script.write_text(_script(kind, self.count, page, searches, delay))
        before = (system.cpu(server.pid), self.postgres.cpu())
        client = subprocess.Popen(
            ["wrk", f"-t{min(2, connections)}", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s", script,
             server.url], env={**os.environ, "TOKEN": self.token}, stdout=subprocess.PIPE, text=True)
        printed = client.stdout.read()
        # Waited for so, that its own time is told.
        _, status, usage = os.wait4(client.pid, 0)
        client.returncode = os.waitstatus_to_exitcode(status)
        after = (system.cpu(server.pid), self.postgres.cpu())
        found = re.search(r"RESULT ([\d ]+)", printed)
        if client.returncode or not found:
            sys.exit(f"wrk: {printed}")
        requests, duration, errors, *latencies = map(int, found[1].split())
        if errors or not requests:
            sys.exit(f"{server.name}, {kind}: {errors} of {requests} requests failed")
        per_thousand = 1000 / requests
        return {
            "name": server.name, "kind": kind, "connections": connections,
            "requests": requests, "rate": requests / (duration / 1e6),
            **{key: value / 1000 for key, value in zip(["p50", "p90", "p99", "p99.9", "max"], latencies)},
            "cpu_client": (usage.ru_utime + usage.ru_stime) * per_thousand,
            "cpu_server": (after[0] - before[0]) * per_thousand,
            "cpu_database": (after[1] - before[1]) * per_thousand,
            "rss": system.memory(server.pid), "rss_peak": system.memory(server.pid, "VmHWM"),
        }

    def pgbench(self, database, seconds):
        """The select of a read, one statement, the id made from the drawn number within it."""
        script = self.folder / "read.sql"
        script.write_text(
            f"\\set n random(1, {self.count})\n"
            "select version, document::text from customers "
            "where id = ('00000000-0000-7000-8000-' || lpad(to_hex(:n::int), 12, '0'))::uuid;\n")
        script.chmod(0o644)
        before, start = self.postgres.cpu(), os.times()
        printed = self.postgres.client("pgbench", "-n", "-M", "prepared", "-c", "16", "-j", "2", "-T",
                                       str(seconds), "-f", str(script), database)
        end = os.times()
        rate = float(re.search(r"tps = ([\d.]+)", printed)[1])
        requests = int(re.search(r"transactions actually processed: (\d+)", printed)[1])
        client = end.children_user + end.children_system - start.children_user - start.children_system
        return {"name": "pgbench", "kind": "get", "connections": 64, "rate": rate, "requests": requests,
                "cpu_client": client * 1000 / requests,
                "cpu_database": (self.postgres.cpu() - before) * 1000 / requests}
