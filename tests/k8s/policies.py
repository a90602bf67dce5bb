"""What every workload must have, as rules over rendered manifests. A rule gives a line for each violation."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tests.k8s.rendering import Manifest, called, of_kind

Rule = Callable[[Manifest, Sequence[Manifest]], Iterator[str]]
RECOMMENDED = tuple(f"app.kubernetes.io/{name}" for name in ("name", "instance", "version", "component", "part-of"))
# From SIGTERM to the end, by the code: requests get 16 s (http_api.server), then what each still has to bring away.
DRAIN_S = {"ingest": 16 + 10, "inference": 16 + 18, "stream-processor": 16 + 25, "trainer": 16 + 25, "console": 16}
READY_AT = {
    "ingest": "/healthz",
    "inference": "/v2/health/ready",
    "stream-processor": "/readyz",
    "trainer": "/readyz",
    "console": "/readyz",
}
DASHBOARD = "grafana_dashboard"  # the label by which Grafana's sidecar finds and follows dashboards
OURS = tuple(READY_AT)


def violations(manifests: Sequence[Manifest]) -> list[str]:
    """Every rule on every workload of ours."""
    workloads = [each for each in of_kind(manifests, "Deployment") if name_of(each) in OURS]
    if missing := set(OURS).difference(map(name_of, workloads)):
        return [f"there is no Deployment of {', '.join(sorted(missing))}"]
    found = [
        f"{called(workload)}: {problem}"
        for workload in workloads
        for rule in RULES.values()
        for problem in rule(workload, manifests)
    ]
    return found + [f"{called(each)}: its data is not immutable" for each in _changeable(manifests)]


def name_of(manifest: Manifest) -> str:
    """Its own name."""
    return str(manifest["metadata"]["name"])


def pod_of(workload: Manifest) -> Manifest:
    """The pod's spec."""
    return dict(workload["spec"]["template"]["spec"])


def container_of(workload: Manifest) -> Manifest:
    """The one container."""
    [container] = pod_of(workload)["containers"]
    return dict(container)


def labels(workload: Manifest, _: Sequence[Manifest]) -> Iterator[str]:
    """Recommended labels on the object and on its pods."""
    for where, found in (("", workload["metadata"]), ("pods: ", workload["spec"]["template"]["metadata"])):
        missing = [label for label in RECOMMENDED if not found.get("labels", {}).get(label)]
        if missing:
            yield f"{where}lacks the labels {', '.join(missing)}"


def resources(workload: Manifest, _: Sequence[Manifest]) -> Iterator[str]:
    """Requests for all, limits where exceeding them harms others. No limit on CPU: throttling is latency."""
    found = container_of(workload).get("resources", {})
    for kind, names in (
        ("requests", ("cpu", "memory", "ephemeral-storage")),
        ("limits", ("memory", "ephemeral-storage")),
    ):
        if missing := [name for name in names if not found.get(kind, {}).get(name)]:
            yield f"no {kind} for {', '.join(missing)}"


def probes(workload: Manifest, _: Sequence[Manifest]) -> Iterator[str]:
    """All three, on the endpoints that mean what the probe asks."""
    container = container_of(workload)
    paths = {kind: container.get(f"{kind}Probe", {}).get("httpGet", {}).get("path") for kind in ("startup", "liveness")}
    if paths["startup"] not in ("/healthz", "/readyz", READY_AT[name_of(workload)]):
        yield "no startupProbe"
    if paths["liveness"] != "/healthz":
        yield "the livenessProbe does not ask /healthz"
    ready = container.get("readinessProbe", {}).get("httpGet", {}).get("path")
    if ready != READY_AT[name_of(workload)]:
        yield f"the readinessProbe asks {ready}, not {READY_AT[name_of(workload)]}"


def draining(workload: Manifest, _: Sequence[Manifest]) -> Iterator[str]:
    """A pause until no endpoint points here, and time for what the service then has to end."""
    pause = container_of(workload).get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    if not pause:
        yield "no preStop pause"
    grace, needed = pod_of(workload).get("terminationGracePeriodSeconds", 30), pause + DRAIN_S[name_of(workload)]
    if grace < needed:
        yield f"a grace period of {grace} s ends before it has drained ({needed} s)"


def security(workload: Manifest, _: Sequence[Manifest]) -> Iterator[str]:
    """Pod Security's restricted profile, and a root that nobody can write to."""
    pod, container = pod_of(workload).get("securityContext", {}), container_of(workload).get("securityContext", {})
    wanted: dict[str, tuple[Any, Any]] = {
        "runAsNonRoot": (pod.get("runAsNonRoot"), True),
        "seccompProfile": (pod.get("seccompProfile"), {"type": "RuntimeDefault"}),
        "readOnlyRootFilesystem": (container.get("readOnlyRootFilesystem"), True),
        "allowPrivilegeEscalation": (container.get("allowPrivilegeEscalation"), False),
        "capabilities": (container.get("capabilities"), {"drop": ["ALL"]}),
    }
    yield from (f"{name} is {found}, not {right}" for name, (found, right) in wanted.items() if found != right)


def identity(workload: Manifest, manifests: Sequence[Manifest]) -> Iterator[str]:
    """An account of its own, without a token."""
    pod = pod_of(workload)
    accounts = {name_of(each): each for each in of_kind(manifests, "ServiceAccount")}
    if pod.get("serviceAccountName") != name_of(workload) or name_of(workload) not in accounts:
        yield "no ServiceAccount of its own"
    elif accounts[name_of(workload)].get("automountServiceAccountToken") is not False:
        yield "its ServiceAccount mounts a token"
    if pod.get("automountServiceAccountToken") is not False:
        yield "its pods mount a token"
    if pod.get("enableServiceLinks") is not False:
        yield "service links are on: a Service would set <NAME>_PORT, which is a setting of ours"


def disruption(workload: Manifest, manifests: Sequence[Manifest]) -> Iterator[str]:
    """A PodDisruptionBudget that selects its pods and lets a node drain."""
    budgets = [each for each in of_kind(manifests, "PodDisruptionBudget") if name_of(each) == name_of(workload)]
    if not budgets:
        yield "no PodDisruptionBudget"
    elif budgets[0]["spec"].get("maxUnavailable") != 1:
        yield "its PodDisruptionBudget does not let exactly one pod go"


def spread(workload: Manifest, _: Sequence[Manifest]) -> Iterator[str]:
    """Over nodes and over zones."""
    keys = {each["topologyKey"] for each in pod_of(workload).get("topologySpreadConstraints", ())}
    if missing := {"kubernetes.io/hostname", "topology.kubernetes.io/zone"} - keys:
        yield f"not spread over {', '.join(sorted(missing))}"


def secrets(workload: Manifest, _: Sequence[Manifest]) -> Iterator[str]:
    """By reference only."""
    words = ("SECRET", "PASSWORD", "TOKEN_KEY", "API_KEY")
    for variable in container_of(workload).get("env", ()):
        if "value" in variable and variable["name"] != "API_KEYS_FILE" and any(w in variable["name"] for w in words):
            yield f"{variable['name']} stands in the manifest"


def configuration(workload: Manifest, manifests: Sequence[Manifest]) -> Iterator[str]:
    """From a ConfigMap that is named by its contents."""
    names = {name_of(each) for each in of_kind(manifests, "ConfigMap")}
    used = [
        each["configMapRef"]["name"] for each in container_of(workload).get("envFrom", ()) if "configMapRef" in each
    ]
    if not used:
        yield "no ConfigMap"
    for name in used:
        if name not in names or len(name.rpartition("-")[2]) != 10:
            yield f"its ConfigMap {name} is not named by its contents"


def network(workload: Manifest, manifests: Sequence[Manifest]) -> Iterator[str]:
    """Everything is shut, but for what policies open (arrows.py reads those)."""
    shut = [each for each in of_kind(manifests, "NetworkPolicy") if each["spec"]["podSelector"] == {}]
    if not any(set(each["spec"]["policyTypes"]) == {"Ingress", "Egress"} for each in shut):
        yield "no NetworkPolicy shuts what none opens"


def image(workload: Manifest, _: Sequence[Manifest]) -> Iterator[str]:
    """A version, never `latest`."""
    tag = container_of(workload)["image"].rpartition(":")[2]
    if tag in ("", "latest") or "/" in tag:
        yield f"its image {container_of(workload)['image']} has no version"


RULES: dict[str, Rule] = {
    "labels": labels,
    "resources": resources,
    "probes": probes,
    "draining": draining,
    "security": security,
    "identity": identity,
    "disruption": disruption,
    "spread": spread,
    "secrets": secrets,
    "configuration": configuration,
    "network": network,
    "image": image,
}


def _changeable(manifests: Sequence[Manifest]) -> list[Manifest]:
    """What workloads read; dashboards are found by their label, and followed."""
    return [
        each
        for each in of_kind(manifests, "ConfigMap", "Secret")
        if each.get("immutable") is not True and DASHBOARD not in each["metadata"].get("labels", {})
    ]
