"""The stages that need a service and a baseline side by side."""

import threading
import time

from . import system
from .servers import Caller, check
from .wrk import Wrk

KINDS = ["get", "post", "patch"]
CONNECTIONS = [1, 2, 4, 8, 16, 32, 64, 128, 256]
# What is tried beside the defaults: lanes and batches for what is joined, the pool for what is not.
JOINED = [{"DATABASE_LANES": str(lanes), "DATABASE_MAX_BATCH": str(batch)}
          for lanes, batch in [(1, 16), (1, 64), (1, 256), (2, 64)]]
POOLED = [{"DATABASE_MAX_CONNECTIONS": str(count)} for count in (8, 16, 32)]
# Requests of the soak and of the half rate come over so many connections.
MANY = 64


class Pair:
    """A service and a baseline with the same customers each."""

    def __init__(self, programs, customers, seconds, rounds):
        self.programs, self.customers = programs, customers
        self.seconds, self.rounds = seconds, rounds
        postgres = programs.postgres
        self.seed = programs.create("seeded", customers)
        for database in ["service", "baseline"]:
            postgres.psql(f"create database {database} template seeded")
        self.servers = {"service": programs.service("service"), "baseline": programs.baseline("baseline")}
        self.token = programs.token()
        self.wrk = Wrk(programs.folder, postgres, self.token, customers)
        for server in self.servers.values():
            check(Caller(server, self.token), customers)

    def load(self, name, kind, connections, seconds, delay=None):
        """One measurement, which pays for no other's writes."""
        self.programs.postgres.settle(name)
        result = self.wrk.load(self.servers[name], kind, connections, seconds, delay=delay)
        print(f"{name:9} {kind:5} {connections:3} connections: {result['rate']:8.0f}/s, "
              f"median {result['p50']:.3f} ms, p99 {result['p99']:.3f} ms", flush=True)
        return result

    def pgbench(self):
        self.programs.postgres.settle("service")
        result = self.wrk.pgbench("service", self.seconds)
        print(f"pgbench   get: {result['rate']:8.0f}/s", flush=True)
        return result


def rates(pair):
    """Each in turn in every round, and the order turns too."""
    measured = []
    for number in range(pair.rounds):
        for kind, connections in [(kind, count) for count in (MANY, 1) for kind in KINDS]:
            steps = [lambda name=name: pair.load(name, kind, connections, pair.seconds) for name in pair.servers]
            if (kind, connections) == ("get", MANY):
                steps.append(pair.pgbench)
            turn = number % len(steps)
            measured += [{"round": number, **step()} for step in steps[turn:] + steps[:turn]]
    return {"seed": pair.seed, "measured": measured}


def connections(pair, counts):
    seconds = max(1, pair.seconds // 3)
    return {"seconds": seconds, "measured": [
        pair.load(name, kind, count, seconds)
        for kind in KINDS for count in counts for name in pair.servers]}


def settings(pair):
    """The service under other settings, in turn, on the database of the first."""
    measured = []
    for number in range(pair.rounds):
        for kinds, tried in [(KINDS, JOINED), (["page"], POOLED)]:
            turn = number % len(tried)
            for setting in tried[turn:] + tried[:turn]:
                server = pair.programs.service("service", setting)
                for kind in kinds:
                    pair.programs.postgres.settle("service")
                    result = pair.wrk.load(server, kind, MANY, max(1, pair.seconds // 2), page="/customers")
                    measured.append({"round": number, "setting": setting, **result})
                    told = ", ".join(f"{name}={value}" for name, value in setting.items())
                    print(f"{told}: {kind} {result['rate']:.0f}/s", flush=True)
                pair.programs.stop_one(server)
    return {"measured": measured}


def half(pair):
    """At about half of the highest rate: the connections wait in between as long as that takes."""
    measured = []
    for kind in KINDS:
        highest = pair.load("service", kind, MANY, pair.seconds // 2 or 1)["rate"]
        # A round takes the wait and the answer's time: that much a first try tells.
        whole = MANY / (highest / 2) * 1000
        tried = pair.load("service", kind, MANY, max(1, pair.seconds // 4), delay=whole)
        delay = max(0.0, whole - max(0.0, MANY / tried["rate"] * 1000 - whole))
        for number in range(pair.rounds):
            found = pair.load("service", kind, MANY, pair.seconds // 2 or 1, delay=delay)
            measured.append({"round": number, "highest": highest, "delay": delay, **found})
    return {"measured": measured}


def soak(pair, minutes):
    """Full load of mixed requests; the service's memory each second."""
    server, memory, ended = pair.servers["service"], [], threading.Event()

    def watch():
        while not ended.is_set():
            memory.append(system.memory(server.pid))
            ended.wait(1)
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        found = pair.load("service", "mixed", MANY, max(2, round(minutes * 60)))
    finally:
        ended.set()
        watcher.join()
    return {"minutes": minutes, "memory": memory, "peak": system.memory(server.pid, "VmHWM"), **found}


def idle(pair, seconds):
    """What the service does while nothing is asked, once what was asked is done."""
    pid = pair.servers["service"].pid
    pair.load("service", "mixed", MANY, 1)
    time.sleep(2)
    cpu, wakeups = system.cpu(pid), system.wakeups(pid)
    time.sleep(seconds)
    return {"seconds": seconds, "cpu": system.cpu(pid) - cpu,
            "wakeups": (system.wakeups(pid) - wakeups) / seconds}
