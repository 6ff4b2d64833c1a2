"""Whether Grafana understands the dashboard, and its queries ask for what the service exposes."""

import json
import re

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

register_default_plugins()
INTERVALS = {"$__rate_interval": "5m", "$__interval": "1m", "$__range": "3h"}
WIDTH = 24


def check(path, queries):
    """The faults of a dashboard."""
    with open(path, encoding="utf-8") as file:
        dashboard = json.load(file)
    faults = list(lost(dashboard, reread(dashboard), ""))
    variables = {v["name"]: v for v in dashboard["templating"]["list"]}
    queries.variables = set(variables)
    panels = dashboard["panels"]
    ids = [panel["id"] for panel in panels]
    faults += [f"the id {i} stands twice" for i in sorted({i for i in ids if ids.count(i) > 1})]
    faults += overlaps(panels)
    for panel in panels:
        if panel["type"] == "row":
            continue
        where = f"panel {panel['title']!r}"
        if not panel.get("description"):
            faults.append(f"{where} says not what it shows")
        if not panel["targets"]:
            faults.append(f"{where} asks for nothing")
        refs = [target["refId"] for target in panel["targets"]]
        if len(set(refs)) != len(refs):
            faults.append(f"{where} has a refId twice")
        for target in panel["targets"]:
            for source in (panel, target):
                if source.get("datasource", {}).get("uid") != "${datasource}":
                    faults.append(f"{where} does not ask the chosen data source")
            labels, wrong = queries.read(plain(target["expr"]))
            faults += [f"{where}: {target['expr']} {fault}" for fault in wrong]
            for label in re.findall(r"\{\{\s*(\w+)\s*\}\}", target["legendFormat"]):
                if labels is not None and label not in labels:
                    faults.append(f"{where}: its legend names {label}, which the answer lacks")
    for name, variable in variables.items():
        if variable["type"] == "query":
            faults += [f"variable {name} {fault}" for fault in values(variable, queries)]
    for annotation in dashboard["annotations"]["list"]:
        _, wrong = queries.read(plain(annotation["expr"]))
        faults += [f"annotation {annotation['name']} {fault}" for fault in wrong]
    return faults


def plain(query):
    """The query without what Grafana puts in for times."""
    for name, value in INTERVALS.items():
        query = query.replace(name, value)
    return query


def values(variable, queries):
    """The faults of `label_values(series, label)`."""
    found = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"])
    if not found:
        return ["is no label_values(series, label)"]
    selector, label = found.groups()
    # What finds the jobs can name none.
    if label == "job":
        selector += '{job=~".+"}'
    labels, faults = queries.read(selector)
    if labels is not None and label not in labels:
        faults.append(f"takes values of {label}, which the series lack")
    return faults


def reread(dashboard):
    """The dashboard after a way through Grafana's own types."""
    return json.loads(json.dumps(Dashboard.from_json(dashboard), cls=JSONEncoder))


def lost(given, kept, where):
    """What Grafana's types do not know."""
    if isinstance(given, dict) and isinstance(kept, dict):
        for key, value in given.items():
            if key not in kept:
                yield f"{where}/{key} is nothing that Grafana knows"
            else:
                yield from lost(value, kept[key], f"{where}/{key}")
    elif isinstance(given, list) and isinstance(kept, list) and len(given) == len(kept):
        for index, pair in enumerate(zip(given, kept)):
            yield from lost(*pair, f"{where}/{index}")
    elif given != kept:
        yield f"{where} is nothing that Grafana takes as it is"


def overlaps(panels):
    taken = {}
    for panel in panels:
        g = panel["gridPos"]
        if g["x"] + g["w"] > WIDTH:
            yield f"panel {panel['title']!r} is wider than the page"
        for x in range(g["x"], g["x"] + g["w"]):
            for y in range(g["y"], g["y"] + g["h"]):
                other = taken.setdefault((x, y), panel)
                if other is not panel:
                    yield f"panel {panel['title']!r} lies over {other['title']!r}"
                    return
