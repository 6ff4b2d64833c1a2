"""Checks everything under deploy/, then that this check finds what it is for.

Wants the program, promtool, kubectl and a file with the service's `/metrics`.
"""

import pathlib
import sys

import dashboard
import faults as seeded
import manifests
import rules
from files import ROOT, contract
from promql import Exposed, Queries


class Check:
    def __init__(self, program, promtool, kubectl, metrics):
        self.program, self.promtool, self.kubectl = program, promtool, kubectl
        self.exposed = Exposed(pathlib.Path(metrics).read_text("utf-8"))
        _, self.statuses = contract()

    def dashboard(self, deploy):
        return dashboard.check(deploy / "grafana/customer-accounts.json", self.queries())

    def rules(self, deploy, run_tests=True):
        return rules.check(deploy / "prometheus", self.queries(), self.promtool, run_tests)

    def manifests(self, deploy):
        return manifests.check(deploy / "kubernetes", self.kubectl, self.program)

    def queries(self):
        return Queries(self.exposed, self.statuses)


def main():
    check = Check(*sys.argv[1:])
    found = 0
    for what in ("dashboard", "rules", "manifests"):
        for fault in getattr(check, what)(ROOT / "deploy"):
            print(f"deploy: {what}: {fault}", file=sys.stderr)
            found += 1
    if found:
        sys.exit(1)
    print("deploy/: no faults")
    print(f"deploy/: each of {seeded.run(check)} seeded faults is found")


main()
