"""Whether Kubernetes takes the manifests (its own schemas, strictly), and they are as safe as they can be."""

import functools
import re
import subprocess
import tomllib

import kubernetes_validate
import yaml

from files import ROOT, documents, parse

# The oldest version of Kubernetes that still gets fixes is newer than the first.
KUBERNETES = ["1.32", "1.37"]
NAMESPACE = "customer-accounts"
# serve.rs and export.rs: how long closing the pool and sending the last traces may take after SHUTDOWN_TIMEOUT.
CLOSE_SECONDS = 5 + 3
# What PostgreSQL takes by default, without those it keeps for its superuser.
DATABASE_CONNECTIONS = 97

# The schemas are large, and read anew for each object otherwise.
kubernetes_validate.utils.schema_contents = functools.cache(kubernetes_validate.utils.schema_contents)


def check(folder, kubectl, program):
    """The faults of the manifests. `kubectl` renders, `program` names its settings."""
    built = subprocess.run([kubectl, "kustomize", str(folder)], capture_output=True, text=True, check=False)
    if built.returncode:
        return [f"kubectl kustomize fails: {built.stderr}"]
    objects = parse(built.stdout)
    faults = []
    for path in sorted(folder.glob("*.yaml")):
        try:
            documents(path)
        except yaml.YAMLError as error:
            faults.append(f"{path.name} is no YAML that says one thing: {error}")
    if faults:
        return faults
    (kustomization,) = documents(folder / "kustomization.yaml")
    files = {path.name for path in folder.glob("*.yaml")}
    apart = {"kustomization.yaml", "secret.example.yaml"}
    if set(kustomization["resources"]) != files - apart:
        faults.append(f"the kustomization leaves out {sorted(files - apart - set(kustomization['resources']))}")
    examples = documents(folder / "secret.example.yaml")
    for document in [*objects, *examples]:
        faults += invalid(document)
    if faults:
        # What has not even the right form is not looked into further.
        return faults
    return [*faults, *Cluster(objects, examples, program).faults()]


def invalid(document):
    where = f"{document.get('kind')} {document.get('metadata', {}).get('name')}"
    for version in KUBERNETES:
        try:
            kubernetes_validate.validate(document, version, strict=True)
        except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as error:
            path = "/".join(map(str, getattr(error, "absolute_path", [])))
            yield f"{where} is not valid in Kubernetes {version}: {path}: {error.message}"


class Cluster:
    """What would be in the cluster."""

    def __init__(self, objects, examples, program):
        self.objects, self.program = objects, program
        self.secrets = {s["metadata"]["name"]: set(s["stringData"]) for s in examples}
        self.values = {v for s in examples for v in s["stringData"].values()}
        self.version = tomllib.loads((ROOT / "Cargo.toml").read_text("utf-8"))["package"]["version"]
        self.found = []

    def of(self, kind):
        return [o for o in self.objects if o["kind"] == kind]

    def need(self, holds, fault):
        if not holds:
            self.found.append(fault)

    def faults(self):
        for o in self.objects:
            if o["kind"] != "Namespace":
                self.need(o["metadata"].get("namespace") == NAMESPACE, f"{name(o)} is not in {NAMESPACE}")
        self.need(self.values == {"PLACEHOLDER"}, "the example's secrets are not just placeholders")
        self.need(not self.of("Secret"), "a secret is part of the kustomization")
        (deployment,), (job,) = self.of("Deployment"), self.of("Job")
        for workload in (deployment, job):
            self.pod(workload, workload["spec"]["template"])
        self.deployment(deployment)
        self.job(job)
        self.network(deployment, job)
        self.numbers(deployment)
        for account in self.of("ServiceAccount"):
            self.need(account.get("automountServiceAccountToken") is False, f"{name(account)} mounts tokens")
        (namespace,) = self.of("Namespace")
        level = namespace["metadata"].get("labels", {}).get("pod-security.kubernetes.io/enforce")
        self.need(level == "restricted", "the namespace takes pods that are not restricted")
        return self.found

    def pod(self, workload, template):
        where, pod = name(workload), template["spec"]
        accounts = {a["metadata"]["name"] for a in self.of("ServiceAccount")}
        self.need(pod.get("serviceAccountName") in accounts, f"{where} has no account of its own")
        self.need(pod.get("automountServiceAccountToken") is False, f"{where} mounts a token")
        self.need(pod.get("enableServiceLinks") is False, f"{where} takes settings from service links")
        for forbidden in ("hostNetwork", "hostPID", "hostIPC"):
            self.need(not pod.get(forbidden), f"{where} has {forbidden}")
        security = pod.get("securityContext", {})
        user = image_user()
        self.need(security.get("runAsNonRoot") is True, f"{where} may run as root")
        for member in ("runAsUser", "runAsGroup"):
            self.need(security.get(member) == user, f"{where} has {member} {security.get(member)}, the image {user}")
        self.need(security.get("seccompProfile") == {"type": "RuntimeDefault"}, f"{where} has no seccomp profile")
        for container in pod["containers"] + pod.get("initContainers", []):
            self.container(where, pod, container)
        for volume in pod.get("volumes", []):
            self.need("secret" in volume, f"{where} has a volume {volume['name']} that is no secret")
            self.secret(where, volume["secret"]["secretName"])
            mode = volume["secret"].get("defaultMode", 0o644)
            self.need(mode & 0o337 == 0, f"{where} mounts {volume['name']} with mode {mode:o}")
            self.need(security.get("fsGroup") == user, f"{where} cannot read {volume['name']}")

    def container(self, where, pod, container):
        security = container.get("securityContext", {})
        self.need(security.get("allowPrivilegeEscalation") is False, f"{where} may gain rights")
        self.need(security.get("readOnlyRootFilesystem") is True, f"{where} may write its file system")
        self.need(not security.get("privileged"), f"{where} is privileged")
        self.need(security.get("capabilities") == {"drop": ["ALL"]}, f"{where} keeps capabilities")
        resources = container.get("resources", {})
        for kind in ("requests", "limits"):
            for what in ("cpu", "memory"):
                self.need(what in resources.get(kind, {}), f"{where} has no {kind} of {what}")
        image, _, tag = container["image"].rpartition(":")
        self.need(image.endswith("/customer-accounts"), f"{where} runs the image {image}")
        self.need(tag == self.version, f"{where} runs the version {tag}, not {self.version}")
        mounts = {v["name"] for v in container.get("volumeMounts", []) if v.get("readOnly")}
        volumes = {v["name"] for v in pod.get("volumes", [])}
        self.need(mounts == volumes, f"{where} does not mount its volumes read-only")
        settings, known = self.environment(where, container), known_settings(self.program, container["args"][0])
        for setting in sorted(set(settings) - known):
            self.need(False, f"{where} sets {setting}, which `{container['args'][0]}` does not know")
        self.need(settings.get("DATABASE_URL") is None and "DATABASE_URL" in settings,
                  f"{where} has DATABASE_URL from no secret")

    def environment(self, where, container):
        """The settings; None for those out of secrets."""
        settings = {}
        for source in container.get("envFrom", []):
            wanted = source["configMapRef"]["name"]
            maps = [m for m in self.of("ConfigMap") if m["metadata"]["name"] == wanted]
            self.need(maps, f"{where} takes settings from {wanted}, which is not there")
            settings.update(maps[0]["data"] if maps else {})
        for variable in container.get("env", []):
            settings[variable["name"]] = variable.get("value")
            if "valueFrom" in variable:
                reference = variable["valueFrom"]["secretKeyRef"]
                self.secret(where, reference["name"], reference["key"])
        return settings

    def secret(self, where, secret, key=None):
        keys = self.secrets.get(secret)
        self.need(keys, f"{where} needs the secret {secret}, which the example lacks")
        self.need(key is None or key in (keys or ()), f"{where} needs {key} of {secret}, which the example lacks")

    def deployment(self, deployment):
        pod = deployment["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        settings = self.environment("the Deployment", container)
        ports = {p["name"]: p["containerPort"] for p in container["ports"]}
        for setting, port in (("LISTEN_ADDR", "http"), ("METRICS_ADDR", "metrics")):
            self.need(settings.get(setting) == f"0.0.0.0:{ports.get(port)}", f"{setting} is not at the port {port}")
        for probe, path in (("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")):
            asked = container.get(probe, {}).get("httpGet", {})
            self.need(asked.get("path") == path and asked.get("port") == "http", f"the {probe} is not {path}")
        self.need(container["args"] == ["serve"], "the Deployment does not serve")
        self.need(settings.get("NO_MIGRATE") == "true", "the Deployment's pods migrate")
        self.need("AUTH_ISSUER" in settings and "DEVELOPMENT_MODE" not in settings, "the development mode runs")
        keyring = settings.get("KEYRING_FILE", "")
        (mount,) = container["volumeMounts"] or [{}]
        self.need(keyring == f"{mount.get('mountPath')}/keyring.json" and "subPath" not in mount,
                  "KEYRING_FILE is not in a folder that follows its secret")
        pause = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
        needed = pause + int(settings["SHUTDOWN_TIMEOUT"].rstrip("s")) + CLOSE_SECONDS
        self.need(pod.get("terminationGracePeriodSeconds", 30) > needed, f"stopping takes {needed} s, and is cut off")
        rolling = deployment["spec"]["strategy"].get("rollingUpdate", {})
        self.need(rolling.get("maxUnavailable") == 0, "a rollout takes pods away before others are ready")
        self.need(pod.get("topologySpreadConstraints"), "all pods may run on one node")
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        for kind in ("Service", "PodDisruptionBudget"):
            (o,) = self.of(kind) or [None]
            self.need(o, f"there is no {kind}")
            if o:
                selector = o["spec"]["selector"]
                self.need(selects(selector.get("matchLabels", selector), labels), f"the {kind} selects other pods")
                jobs = [j for j in self.of("Job") if selects(selector.get("matchLabels", selector),
                                                             j["spec"]["template"]["metadata"]["labels"])]
                self.need(not jobs, f"the {kind} selects the Job's pods")
        (port,) = self.of("Service")[0]["spec"]["ports"]
        self.need(port["targetPort"] == "http", "the Service leads elsewhere than to the API")

    def job(self, job):
        (container,) = job["spec"]["template"]["spec"]["containers"]
        self.need(container["args"] == ["migrate"], "the Job does not migrate")
        self.need(job["metadata"]["name"].endswith("-" + self.version.replace(".", "-")),
                  f"the Job's name has not the version {self.version}")

    def network(self, *workloads):
        policies = self.of("NetworkPolicy")
        denies = [p for p in policies if p["spec"]["podSelector"] == {}
                  and set(p["spec"]["policyTypes"]) == {"Ingress", "Egress"}
                  and not p["spec"].get("ingress") and not p["spec"].get("egress")]
        self.need(denies, "what no policy names is not denied")
        for policy in policies:
            for way in ("ingress", "egress"):
                for rule in policy["spec"].get(way, []):
                    peers = rule.get("from" if way == "ingress" else "to")
                    self.need(peers and rule.get("ports"), f"{name(policy)} opens {way} to everybody or every port")
        allowed = {w["kind"]: {way: set(self.ports(policies, w, way)) for way in ("ingress", "egress")}
                   for w in workloads}
        self.need(allowed.get("Deployment") == {"ingress": {8080, 9090}, "egress": {53, 443, 5432}},
                  f"the Deployment's pods have the ways {allowed.get('Deployment')}")
        self.need(allowed.get("Job") == {"ingress": set(), "egress": {53, 5432}},
                  f"the Job's pods have the ways {allowed.get('Job')}")

    @staticmethod
    def ports(policies, workload, way):
        labels = workload["spec"]["template"]["metadata"]["labels"]
        for policy in policies:
            if selects(policy["spec"]["podSelector"].get("matchLabels", {}), labels):
                for rule in policy["spec"].get(way, []):
                    yield from (port["port"] for port in rule.get("ports", []))

    def numbers(self, deployment):
        (scaler,) = self.of("HorizontalPodAutoscaler") or [None]
        if scaler is None:
            return self.need(deployment["spec"].get("replicas", 1) >= 2, "one pod alone serves")
        spec = scaler["spec"]
        self.need(spec["scaleTargetRef"]["name"] == deployment["metadata"]["name"], "the autoscaler scales another")
        self.need(spec.get("minReplicas", 1) >= 2, "one pod alone may serve")
        self.need("replicas" not in deployment["spec"], "the Deployment and the autoscaler both say how many")
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        each = int(self.environment("", container).get("DATABASE_MAX_CONNECTIONS", 16))
        surge = deployment["spec"]["strategy"]["rollingUpdate"]["maxSurge"]
        # The Job has a pool of the default's size.
        most = (spec["maxReplicas"] + surge) * each + 16
        self.need(most <= DATABASE_CONNECTIONS, f"the pods may want {most} connections to the database")
        return None


@functools.cache
def known_settings(program, command):
    shown = subprocess.run([program, "help", command], capture_output=True, text=True, check=True)
    return set(re.findall(r"\[env: (\w+)", shown.stdout))


def name(o):
    return f"{o['kind']} {o['metadata']['name']}"


def selects(selector, labels):
    return bool(selector) and all(labels.get(key) == value for key, value in selector.items())


def image_user():
    """The user of the image, by number."""
    text = (ROOT / "Dockerfile").read_text("utf-8")
    return int(re.findall(r"^USER (\d+):\1$", text, re.M)[-1])
