"""Holds queries to what the service exposes: names, labels, values of labels."""

import re

import promql_parser as pp

# What Prometheus adds to every series it scrapes (see deploy/prometheus/prometheus.yaml).
SCRAPED = {"job", "instance"}
# What Prometheus makes itself.
OWN = {"up": set(SCRAPED), "ALERTS": SCRAPED | {"alertname", "alertstate", "severity"}}
# Functions that leave out a label, where the others keep all.
DROPS = {"histogram_quantile": {"le"}}


class Exposed:
    """The series of a service, as its `/metrics` shows them."""

    def __init__(self, text):
        self.series = {}
        for line in text.splitlines():
            if line and not line.startswith("#"):
                name, labels = re.fullmatch(r"([a-z_:]+)(?:\{(.*)\})? \S+", line).groups()
                pairs = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels or ""))
                self.series.setdefault(name, []).append(pairs)

    def labels(self, name):
        return set().union(*self.series[name]) | SCRAPED


class Queries:
    """Reads queries, and collects what is wrong with them."""

    def __init__(self, exposed, statuses, variables=()):
        self.exposed, self.statuses, self.variables = exposed, statuses, set(variables)
        self.recorded = {}
        self.used = set()

    def read(self, query):
        """The labels of the query's answer (None: unknown) and its faults."""
        self.faults = []
        try:
            return self.labels(pp.parse(query)), self.faults
        except ValueError as error:
            return None, [f"is no PromQL: {error}"]

    def labels(self, e):
        match e:
            case pp.VectorSelector():
                return self.selected(e)
            case pp.MatrixSelector():
                return self.selected(e.vector_selector)
            case pp.ParenExpr() | pp.UnaryExpr() | pp.SubqueryExpr():
                return self.labels(e.expr)
            case pp.AggregateExpr():
                inner = self.labels(e.expr)
                if e.modifier is None:
                    return set()
                named = set(e.modifier.labels)
                self.known(named, inner, "an aggregation")
                return named if e.modifier.type == pp.AggModifierType.By else inner - named
            case pp.BinaryExpr():
                return self.joined(e)
            case pp.Call():
                inner = [self.labels(argument) for argument in e.args]
                inner = [labels for labels in inner if labels is not None]
                name = e.func.name
                if name in DROPS:
                    self.known(DROPS[name], inner[-1], name)
                if name in {"absent", "vector", "label_replace", "label_join"}:
                    return set()
                return inner[-1] - DROPS.get(name, set()) if inner else set()
            case pp.NumberLiteral() | pp.StringLiteral():
                return None
        raise AssertionError(f"this check does not know {type(e)}")

    def joined(self, e):
        left, right = self.labels(e.lhs), self.labels(e.rhs)
        if left is None or right is None:
            return right if left is None else left
        matching = e.modifier.matching if e.modifier else None
        if matching is None:
            if left != right and right and left:
                self.faults.append(f"joins {sorted(left)} with {sorted(right)}, which match nowhere")
            return left
        named = set(matching.labels)
        self.known(named, left, "a join")
        self.known(named, right, "a join")
        return left

    def known(self, named, labels, where):
        for label in sorted(named - (labels or set())):
            self.faults.append(f"names the label {label} in {where} over series without it")

    def selected(self, selector):
        name = selector.name
        if name is None:
            self.faults.append("has a selector without a name")
            return set()
        matchers = selector.matchers.matchers
        if name in self.recorded or name in OWN:
            labels = self.recorded.get(name) or OWN.get(name)
            self.known({m.name for m in matchers}, labels, name)
            return labels
        if name not in self.exposed.series:
            self.faults.append(f"names the metric {name}, which the service does not expose")
            return set(SCRAPED) | {m.name for m in matchers}
        self.used.add(name)
        labels = self.exposed.labels(name)
        self.known({m.name for m in matchers}, labels, name)
        if not any(m.name == "job" for m in matchers):
            self.faults.append(f"takes {name} of whatever job, not of this service alone")
        for m in matchers:
            self.matches(name, m)
        return labels

    def matches(self, name, m):
        """Whether some series of the service has the label so. Statuses need not have occurred, but have
        to be in the contract."""
        variables = re.findall(r"\$\{?(\w+)", m.value) if not m.value.endswith("$") else []
        for variable in variables:
            if variable not in self.variables:
                self.faults.append(f"uses ${variable}, which no variable of the dashboard is")
        if variables or m.name in SCRAPED or m.op in (pp.MatchOp.NotEqual, pp.MatchOp.NotRe):
            return
        have = self.statuses if m.name == "status" else {
            labels.get(m.name) for labels in self.exposed.series[name]
        }
        fits = re.compile(m.value if m.op == pp.MatchOp.Re else re.escape(m.value)).fullmatch
        if not any(value and fits(value) for value in have):
            self.faults.append(f"asks {name} for {m.name} {m.value}, which the service never has")
