"""Writes RESULTS.md from the results that there are."""

import json
import statistics

TIMES = ["p50", "p90", "p99", "p99.9"]
KINDS = ["get", "post", "patch"]
# What must be reached at 64 connections, as times of the other's rate within a round.
RATES = [("get", "baseline", 2.2), ("get", "pgbench", 1.2), ("post", "baseline", 2.5), ("patch", "baseline", 1.8)]
LATENCY, TAIL, GROWTH, DEEP = 1.15, 5, 1.3, 1.1
MEMORY, FLAT = 150, 1.1
IMPORT, EXPORT, TRANSFER_MEMORY = 5_000, 20_000, 150


def spread(values, form="{:,.0f}"):
    values = list(values)
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{form.format(middle)} ({form.format(low)} to {form.format(high)})"


def median(rounds, key="p50"):
    return statistics.median(one[key] for one in rounds)


def table(head, rows):
    return [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}", *(f"| {' | '.join(row)} |" for row in rows), ""]


def of(measured, name, kind, connections):
    return [one for one in measured if (one["name"], one["kind"], one["connections"]) == (name, kind, connections)]


def ratios(measured, kind, connections, other, key):
    """The service's over the other's, round by round."""
    pairs = zip(of(measured, "service", kind, connections), of(measured, other, kind, connections), strict=True)
    return [ours[key] / theirs[key] for ours, theirs in pairs]


def target(what, bound, found, reached):
    return [what, bound, found, "reached" if reached else "**missed**"]


def rate_targets(found):
    measured = found["measured"]
    for kind, other, least in RATES:
        values = ratios(measured, kind, 64, other, "rate")
        yield target(f"{kind.upper()}, 64 connections, rate over {other}'s", f"at least {least}",
                     spread(values, "{:.2f}"), statistics.median(values) >= least)
    for kind in KINDS:
        values = ratios(measured, kind, 1, "baseline", "p50")
        yield target(f"{kind.upper()}, 1 connection, median latency over baseline's", f"at most {LATENCY}",
                     spread(values, "{:.2f}"), statistics.median(values) <= LATENCY)
    peak = max(one["rss_peak"] for one in measured if one["name"] == "service")
    yield target("memory at full load", f"under {MEMORY} MB", f"{peak:.0f} MB", peak < MEMORY)


def half_targets(found):
    for kind in KINDS:
        values = [one["p99"] / one["p50"] for one in found["measured"] if one["kind"] == kind]
        yield target(f"{kind.upper()}, p99 at half the highest rate over the median", f"under {TAIL}",
                     spread(values, "{:.2f}"), statistics.median(values) < TAIL)


def growth_targets(found):
    first, last = found["steps"][0], found["steps"][-1]
    sizes = f"{last['customers']:,} over {first['customers']:,} customers"
    for name in first["operations"]:
        ratio = median(last["operations"][name]) / median(first["operations"][name])
        yield target(f"{name}, median of {sizes}", f"at most {GROWTH}", f"{ratio:.2f}", ratio <= GROWTH)
    for step in found["steps"]:
        if deep := step.get("deep"):
            ratio = median(deep["far"]) / median(deep["first"])
            yield target(f"page {deep['depth']:,} over page 1, median, {step['customers']:,} customers",
                         f"at most {DEEP}", f"{ratio:.2f}", ratio <= DEEP)
    for name, least in [("import", IMPORT), ("export", EXPORT)]:
        rate, memory = last[name]["rate"], [step[name]["memory"] for step in found["steps"]]
        yield target(f"{name} of {last[name]['lines']:,} lines", f"at least {least:,}/s", f"{rate:,.0f}/s", rate >= least)
        yield target(f"memory of {name}, all sizes", f"under {TRANSFER_MEMORY} MB", spread(memory) + " MB",
                     max(memory) < TRANSFER_MEMORY)


def soak_marks(found):
    memory = found["memory"]
    return memory[0], memory[len(memory) // 10], memory[-1], max(memory)


def soak_targets(found):
    start, early, end, most = soak_marks(found)
    yield target(f"memory over {found['minutes']:g} minutes of full load", f"under {MEMORY} MB", f"{most:.0f} MB", most < MEMORY)
    yield target("memory at the end over that after a tenth of it", f"at most {FLAT}", f"{end / early:.2f}", end / early <= FLAT)


def idle_targets(found):
    share = found["cpu"] / found["seconds"]
    yield target("CPU while nothing is asked", "none", f"{share * 100:.1f} % of a core", share < 0.001)


def cost_rows(measured, connections):
    for kind in KINDS:
        for name in ["service", "baseline", "pgbench"]:
            if rounds := of(measured, name, kind, connections):
                cells = [f"{name}, {kind.upper()}", spread(one["rate"] for one in rounds)]
                cells += [spread((one[key] for one in rounds), "{:.2f}") if key in rounds[0] else ""
                          for key in TIMES]
                cells += [f"{median(rounds, key):.3f}" if key in rounds[0] else ""
                          for key in ["cpu_client", "cpu_server", "cpu_database"]]
                yield cells


def rates(found):
    lines = [f"{found['seconds']} s each, {found['rounds']} rounds in which the order turns. pgbench has 16 "
             "connections of its own, to the database. The CPU columns are seconds for 1,000 requests.", ""]
    for connections in (64, 1):
        head = [f"{connections} connection{'s' * (connections > 1)}", "requests a second",
                *(f"{key}, ms" for key in TIMES), "CPU: client", "server", "database"]
        lines += table(head, cost_rows(found["measured"], connections))
    seed = found["seed"]
    return [*lines, f"Seeded by `import`: {seed['told']}.", ""]


def connections(found):
    rows = []
    for one in of_service(found):
        other, = of(found["measured"], "baseline", one["kind"], one["connections"])
        rows.append([one["kind"].upper(), str(one["connections"])] + [
            form.format(side[key]) for side in (one, other)
            for key, form in [("rate", "{:,.0f}"), ("p50", "{:.2f}"), ("p99", "{:.2f}")]])
    return [f"{found['seconds']} s each, once.", "", "![rate and p99 against connections](plots/connections.svg)", "",
            *table(["", "connections", "service: requests a second", "p50, ms", "p99, ms",
                    "baseline: requests a second", "p50, ms", "p99, ms"], rows)]


def settings(found):
    def told(setting):
        return ", ".join(f"`{name}={value}`" for name, value in setting.items())

    names = list(dict.fromkeys(told(one["setting"]) for one in found["measured"]))
    kinds = list(dict.fromkeys(one["kind"] for one in found["measured"]))
    rows = [[name, *(spread(rates) if (rates := [one["rate"] for one in found["measured"]
                                                 if (told(one["setting"]), one["kind"]) == (name, kind)]) else ""
                     for kind in kinds)] for name in names]
    return [f"Requests a second at 64 connections, {max(1, found['seconds'] // 2)} s each, {found['rounds']} rounds in "
            "which the order turns. `PAGE` is the first page of the list, which is not joined.", "",
            *table(["", *(kind.upper() for kind in kinds)], rows)]


def of_service(found):
    return [one for one in found["measured"] if one["name"] == "service"]


def half(found):
    rows = []
    for kind in KINDS:
        rounds = [one for one in found["measured"] if one["kind"] == kind]
        rows.append([kind.upper(), f"{rounds[0]['highest']:,.0f}",
                     spread(one["rate"] for one in rounds),
                     spread((one["rate"] / one["highest"] * 100 for one in rounds), "{:.0f}"),
                     *(spread((one[key] for one in rounds), "{:.2f}") for key in TIMES)])
    return ["64 connections, each of which waits before its next request for a time that is exponentially spread, "
            "in wrk's whole milliseconds: so requests come in small bursts. The wait is not in the latency.", "",
            *table(["", "highest rate", "rate reached", "% of the highest", *(f"{key}, ms" for key in TIMES)], rows)]


def growth(found):
    steps = found["steps"]
    sizes = [f"{step['customers']:,}" for step in steps]

    def rows(key, form):
        return [[name, *(form.format(median(step["operations"][name], key)) for step in steps)]
                for name in steps[0]["operations"]]
    transfers = [[f"{step['customers']:,}", f"{step['megabytes']:,}",
                  *(cell for name in ("import", "export") for cell in
                    (f"{step[name]['lines']:,}", f"{step[name]['rate']:,.0f}", f"{step[name]['memory']:.0f}"))]
                 for step in steps]
    deep = [[f"{step['customers']:,}", *(f"{median(step['deep'][page], key):.3f}"
                                         for page in ("first", "far") for key in ("p50", "p99"))]
            for step in steps if "deep" in step]
    lines = [
        f"One database, grown through `import`; then `vacuum analyze` and a checkpoint. 1 connection, "
        f"{found['seconds']} s each, medians of {found['rounds']} rounds. Reads and searches are of random customers "
        "out of all. Searches find one customer at every size; by date of birth a page of one is asked, by status "
        "the first 50 of the suspended, of whom there are always more. Every page else has 50 customers. "
        "`shared_buffers` is 128 MB at every size: where the database is much larger (its size is below), most of what "
        "is read comes from the operating system's page cache, not from the database's.", "",
        "![rate and p99 against the number of customers](plots/growth.svg)", "",
        "Median latency in ms:", "", *table(["", *sizes], rows("p50", "{:.3f}")),
        "p99 in ms:", "", *table(["", *sizes], rows("p99", "{:.2f}")),
        "Requests a second:", "", *table(["", *sizes], rows("rate", "{:,.0f}")),
    ]
    if deep:
        depth = next(step["deep"]["depth"] for step in steps if "deep" in step)
        lines += table(["customers", "page 1: p50, ms", "p99, ms", f"page {depth:,}: p50, ms", "p99, ms"], deep)
    lines += table(["customers", "database, MB", "import: lines", "a second", "most memory, MB",
                    "export: lines", "a second", "most memory, MB"], transfers)
    secrets = [f"{one['lines']:,} lines {one['rate']:,.0f} a second, {one['memory']:.0f} MB at most"
               for step in steps if (one := step.get("secrets"))]
    return [*lines, f"With secrets, each of which is told in a history: {'; '.join(secrets)}.", ""] if secrets else lines


def soak(found):
    start, early, end, most = soak_marks(found)
    return [f"{found['minutes']:g} minutes at 64 connections; of ten requests eight read, one creates, one changes: "
            f"{found['rate']:,.0f} requests a second, p50 {found['p50']:.2f} ms, p99 {found['p99']:.2f} ms. Resident "
            f"memory of the service: {start:.0f} MB at the start, {early:.0f} after a tenth of the time, {end:.0f} at the end, "
            f"{most:.0f} at most.", "", "![resident memory over time](plots/memory.svg)", ""]


def idle(found):
    return [f"{found['seconds']} s: {found['cpu']:.2f} s of CPU, {found['wakeups']:.1f} wakeups a second.", ""]


STAGES = {
    "rates": ("Rates and latencies", rates, rate_targets),
    "half": ("At half the highest rate", half, half_targets),
    "connections": ("Connections", connections, None),
    "settings": ("Settings", settings, None),
    "growth": ("Growth", growth, growth_targets),
    "soak": ("Memory", soak, soak_targets),
    "idle": ("Idle", idle, idle_targets),
}


def report(results, path):
    """Writes what stands in a folder of results, each stage with its own date and commit."""
    found = {stage: json.loads((results / f"{stage}.json").read_text())
             for stage in STAGES if (results / f"{stage}.json").exists()}
    machines = list({json.dumps(one["machine"]): one["machine"] for one in found.values()}.values())
    lines = ["# Results", "", "Written by `bench/run`; see there what is measured and how. Medians, with the least "
             "and the most of the rounds; ratios are of one round. Client, service and database share the machine.", ""]
    for one in machines:
        lines += [f"- {one['processor']}, {one['memory']}, {one['kernel']}", f"- {'; '.join(one['programs'])}"]
    lines += ["", "## Targets", ""]
    rows = [row for stage, (_, _, targets) in STAGES.items() if stage in found and targets
            for row in targets(found[stage])]
    lines += table(["what", "must be", "is", ""], rows)
    if missing := [stage for stage in STAGES if stage not in found]:
        lines += [f"Not measured: {', '.join(missing)}.", ""]
    for stage, one in found.items():
        title, write, _ = STAGES[stage]
        lines += [f"## {title}", "", f"{one['at']}, commit {one['commit']}"
                  + (f", {one['customers']:,} customers." if "customers" in one else "."), "", *write(one)]
    path.write_text("\n".join(lines).rstrip() + "\n")
