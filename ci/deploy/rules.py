"""Whether the rules ask for what the service exposes, each has its runbook and its tests, and Prometheus
itself takes them."""

import re
import subprocess
import tempfile

import yaml

from files import documents

ANNOTATIONS = {"summary", "description", "runbook_url"}
SEVERITIES = {"page", "ticket"}


def check(folder, queries, promtool, run_tests=True):
    """The faults of the rules in a folder, which lies beside its RUNBOOK.md."""
    faults = []
    (rules,) = documents(folder / "alerts.yaml")
    runbook = folder.parent / "RUNBOOK.md"
    anchors = set(map(anchor, re.findall(r"^#+ (.*)$", runbook.read_text("utf-8"), re.M)))
    alerts = []
    for rule in (rule for group in rules["groups"] for rule in group["rules"]):
        name = rule.get("alert") or rule["record"]
        labels, wrong = queries.read(rule["expr"])
        faults += [f"{name} {fault}" for fault in wrong]
        if "record" in rule:
            queries.recorded[name] = labels or set()
            continue
        alerts.append(name)
        annotations = rule.get("annotations", {})
        if set(annotations) != ANNOTATIONS:
            faults.append(f"{name} has the annotations {sorted(annotations)}")
        if rule.get("labels", {}).get("severity") not in SEVERITIES:
            faults.append(f"{name} has no severity among {sorted(SEVERITIES)}")
        path, _, section = annotations.get("runbook_url", "").partition("#")
        if path != f"deploy/{runbook.name}" or section not in anchors or section != anchor(name):
            faults.append(f"{name} has no section in {runbook.name}")
        for text in annotations.values():
            for label in re.findall(r"\$labels\.(\w+)", text):
                if labels is not None and label not in labels:
                    faults.append(f"{name} tells its {label}, which its answer lacks")
    faults += [f"the runbook has a section {a}, but no alert" for a in
               anchors - {anchor(name) for name in alerts} - {"runbook"}]
    faults += tested(folder, alerts)
    faults += taken(folder, promtool, run_tests)
    return faults


def anchor(heading):
    return re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-")


def tested(folder, alerts):
    """Each alert has a test in which it fires and one in which it does not."""
    seen = set()
    for path in folder.glob("*.test.yaml"):
        for test in documents(path)[0]["tests"]:
            for case in test["alert_rule_test"]:
                seen.add((case["alertname"], bool(case["exp_alerts"])))
    for name in alerts:
        for fires in (True, False):
            if (name, fires) not in seen:
                yield f"{name} has no test in which it {'fires' if fires else 'stays silent'}"


def taken(folder, promtool, run_tests):
    """What Prometheus' own tool finds."""
    (config,) = documents(folder / "prometheus.yaml")
    for scrape in config["scrape_configs"]:
        # Debian's promtool knows no Kubernetes.
        if scrape.pop("kubernetes_sd_configs", None) is None:
            yield "prometheus.yaml does not look for pods"
        scrape["static_configs"] = [{"targets": ["localhost:9090"]}]
    config["rule_files"] = [str(folder / name) for name in config["rule_files"]]
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump(config, file)
        file.flush()
        commands = [["check", "config", file.name]]
        if run_tests:
            commands += [["test", "rules", str(path)] for path in sorted(folder.glob("*.test.yaml"))]
        started = [subprocess.Popen([promtool, *command], stdout=subprocess.PIPE,
                                    stderr=subprocess.STDOUT, text=True) for command in commands]
        for command, process in zip(commands, started):
            output, _ = process.communicate()
            if process.returncode:
                yield f"promtool {command[0]} {command[1]} fails:\n{output}"
