"""Seeds faults into copies of deploy/, one at a time: a check that passes one of them checks nothing."""

import pathlib
import shutil
import sys
import tempfile

from files import ROOT

DASHBOARD = "grafana/customer-accounts.json"
RULES = "prometheus/alerts.yaml"
K8S = "kubernetes/"
# Which check has to find it, where, what is replaced (all of it), by what, and what it has to say.
FAULTS = [
    ("dashboard", DASHBOARD, "http_requests_in_flight", "http_requests_under_way", "does not expose"),
    ("dashboard", DASHBOARD, "sum by (action)", "sum by (actions)", "label actions"),
    ("dashboard", DASHBOARD, "{{action}}", "{{actor}}", "legend names actor"),
    ("dashboard", DASHBOARD, 'outcome=\\"hit\\"', 'outcome=\\"found\\"', "never has"),
    ("dashboard", DASHBOARD, "/customers.*", "/clients.*", "never has"),
    ("dashboard", DASHBOARD, 'status=~\\"5..\\"', 'status=~\\"6..\\"', "never has"),
    ("dashboard", DASHBOARD, "(le) (rate(", "(le) rate(", "is no PromQL"),
    ("dashboard", DASHBOARD, "method, route, le)", "method, route)", "label le"),
    ("dashboard", DASHBOARD, '"id": 3,', '"id": 2,', "stands twice"),
    ("dashboard", DASHBOARD, '"x": 12,', '"x": 11,', "lies over"),
    ("dashboard", DASHBOARD, '"fieldConfig"', '"fieldConfigs"', "nothing that Grafana knows"),
    ("dashboard", DASHBOARD, '=~\\"$instance\\"', '=~\\"$pod\\"', "no variable"),
    ("dashboard", DASHBOARD, 'job=\\"$job\\", ', "", "whatever job"),
    ("rules", RULES, "database_queue_length", "database_queue_size", "does not expose"),
    ("rules", RULES, 'le="0.5"', 'le="0.4"', "never has"),
    ("rules", RULES, 'action="erased"', 'action="deleted"', "never has"),
    ("rules", RULES, "ratio_rate6h{", "ratio_rate7h{", "does not expose"),
    ("rules", RULES, "resets(", "reset(", "is no PromQL"),
    ("rules", RULES, "{{ $labels.statement }}", "{{ $labels.queue }}", "tells its queue"),
    ("rules", RULES, "#customeraccountsslowroute", "#customeraccountslow", "has no section"),
    ("rules", RULES, "severity: ticket", "severity: whenever", "no severity"),
    ("rules", RULES, "        for: 30m", "        for: half an hour", "promtool check config fails"),
    ("rules", "RUNBOOK.md", "## CustomerAccountsDown", "## CustomerAccountsUp", "has no section"),
    ("rules", "prometheus/alerts.test.yaml", "alertname: CustomerAccountsDown", "alertname: Down", "has no test"),
    ("manifests", K8S + "deployment.yaml", "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "may write"),
    ("manifests", K8S + "deployment.yaml", "readOnlyRootFilesystem", "readonlyRootFilesystem", "not valid"),
    ("manifests", K8S + "deployment.yaml", "runAsNonRoot: true", "runAsNonRoot: false", "as root"),
    ("manifests", K8S + "deployment.yaml", "runAsUser: 10001", "runAsUser: 1000", "runAsUser"),
    ("manifests", K8S + "deployment.yaml", "drop: [ALL]", "drop: [NET_RAW]", "keeps capabilities"),
    ("manifests", K8S + "deployment.yaml", "allowPrivilegeEscalation: false", "privileged: false", "gain rights"),
    ("manifests", K8S + "deployment.yaml", "RuntimeDefault", "Unconfined", "seccomp"),
    ("manifests", K8S + "deployment.yaml", "memory: 256Mi", "ephemeral-storage: 1Gi", "limits of memory"),
    ("manifests", K8S + "deployment.yaml", "/readyz", "/ready", "readinessProbe"),
    ("manifests", K8S + "deployment.yaml", "defaultMode: 0440", "defaultMode: 0444", "with mode 444"),
    ("manifests", K8S + "deployment.yaml", "fsGroup: 10001", "fsGroup: 10002", "cannot read"),
    ("manifests", K8S + "deployment.yaml", "PeriodSeconds: 40", "PeriodSeconds: 30", "cut off"),
    ("manifests", K8S + "deployment.yaml", "customer-accounts:0.1.0", "customer-accounts:latest", "runs the version"),
    ("manifests", K8S + "deployment.yaml", "secretKeyRef", "configMapKeyRef", None),
    ("manifests", K8S + "deployment.yaml", "maxUnavailable: 0", "maxUnavailable: 1", "rollout"),
    ("manifests", K8S + "deployment.yaml", "automountServiceAccountToken: false", "hostNetwork: true", "mounts a token"),
    ("manifests", K8S + "deployment.yaml", "component: api", "component: web", "selects other pods"),
    ("manifests", K8S + "configmap.yaml", "DATABASE_MAX_CONNECTIONS", "DATABASE_CONNECTIONS", "does not know"),
    ("manifests", K8S + "configmap.yaml", "CONNECTIONS: '16'", "CONNECTIONS: '20'", "connections to the database"),
    ("manifests", K8S + "configmap.yaml", "NO_MIGRATE: 'true'", "NO_MIGRATE: 'false'", "pods migrate"),
    ("manifests", K8S + "configmap.yaml", "0.0.0.0:9090", "0.0.0.0:9091", "METRICS_ADDR"),
    ("manifests", K8S + "configmap.yaml", "LOG_LEVEL: info", "LOG_FORMAT: json", "twice"),
    ("manifests", K8S + "migration-job.yaml", "[migrate]", "[serve]", "does not migrate"),
    ("manifests", K8S + "migration-job.yaml", "migrate-0-1-0", "migrate-0-0-9", "has not the version"),
    ("manifests", K8S + "network-policy.yaml", "podSelector: {}", "podSelector: { matchLabels: { a: b } }", "not denied"),
    ("manifests", K8S + "network-policy.yaml", "port: 5432", "port: 5433", "the ways"),
    ("manifests", K8S + "network-policy.yaml", "      ports:\n        - protocol: TCP\n          port: 443\n", "", "every port"),
    ("manifests", K8S + "secret.example.yaml", "url: PLACEHOLDER", "url: postgres://a:b@c/d", "placeholders"),
    ("manifests", K8S + "autoscaler.yaml", "minReplicas: 2", "minReplicas: 1", "one pod"),
    ("manifests", K8S + "kustomization.yaml", "  - disruption-budget.yaml\n", "", "leaves out"),
    ("manifests", K8S + "service-account.yaml", "Token: false", "Token: true", "mounts tokens"),
]


def run(check):
    """How many faults were seeded; ends the program where one is not found."""
    passed = 0
    for what, file, old, new, saying in FAULTS:
        with tempfile.TemporaryDirectory() as folder:
            deploy = pathlib.Path(folder, "deploy")
            shutil.copytree(ROOT / "deploy", deploy)
            path = deploy / file
            text = path.read_text("utf-8")
            if old not in text:
                sys.exit(f"the fault cannot be seeded: {file} has no {old!r}")
            path.write_text(text.replace(old, new), "utf-8")
            options = {"run_tests": False} if what == "rules" else {}
            try:
                found = getattr(check, what)(deploy, **options)
            except Exception as error:  # what cannot be read at all is found too
                if saying is not None:
                    raise
                found = [str(error)]
        if not found or (saying and not any(saying in fault for fault in found)):
            print(f"{file}: {old!r} as {new!r} passes for right: {found}", file=sys.stderr)
            passed += 1
    if passed:
        sys.exit(1)
    return len(FAULTS)
