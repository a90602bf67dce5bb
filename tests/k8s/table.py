"""The table of docs/operations.md: each workload and what it has, read off the rendered manifests."""

from collections.abc import Sequence
from typing import Any

from tests.k8s.policies import OURS, container_of, name_of, pod_of
from tests.k8s.rendering import Manifest, of_kind

BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"


def table(manifests: Sequence[Manifest]) -> str:
    """Markdown; a column for each workload."""
    workloads = {name_of(each): each for each in of_kind(manifests, "Deployment") if name_of(each) in OURS}
    rows = [["", *OURS], ["---"] * (len(OURS) + 1)]
    properties = [_properties(workloads[name], manifests) for name in OURS]
    rows += [[row, *(each[row] for each in properties)] for row in properties[0]]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def within(page: str, manifests: Sequence[Manifest]) -> str:
    """The page with its table made anew."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{table(manifests)}\n\n{END}{after}"


def _properties(workload: Manifest, manifests: Sequence[Manifest]) -> dict[str, str]:
    container, pod, name = container_of(workload), pod_of(workload), name_of(workload)
    labels = workload["spec"]["template"]["metadata"]["labels"]
    resources = container["resources"]
    budget = next(each for each in of_kind(manifests, "PodDisruptionBudget") if name_of(each) == name)
    return {
        "component": labels["app.kubernetes.io/component"],
        "labels": str(sum(label.startswith("app.kubernetes.io/") for label in labels)) + " recommended",
        "replicas": _replicas(workload, manifests),
        "update": _update(workload),
        "canary": next(
            (f"Rollout ({_steps(each)})" for each in of_kind(manifests, "Rollout") if name_of(each) == name), "-"
        ),
        "requests": f"{resources['requests']['cpu']} cpu, {resources['requests']['memory']}",
        "limits": f"{resources['limits']['memory']}",
        "startup": f"`{container['startupProbe']['httpGet']['path']}`",
        "readiness": f"`{container['readinessProbe']['httpGet']['path']}`",
        "liveness": f"`{container['livenessProbe']['httpGet']['path']}`",
        "preStop": f"{container['lifecycle']['preStop']['sleep']['seconds']} s",
        "grace period": f"{pod['terminationGracePeriodSeconds']} s",
        "disruption budget": f"{budget['spec']['maxUnavailable']} unavailable",
        "spread": ", ".join(each["topologyKey"].rpartition("/")[2] for each in pod["topologySpreadConstraints"]),
        "user": f"{pod['securityContext']['runAsUser']}, read-only root, no capabilities",
        "seccomp": pod["securityContext"]["seccompProfile"]["type"],
        "account": f"`{pod['serviceAccountName']}`, no token",
        "may reach": ", ".join(sorted(label.removeprefix("flywheel.dev/to-") for label in labels if "/to-" in label)),
        "secrets": ", ".join(_secrets(container, pod)),
        "configuration": "immutable, named by its contents",
    }


def _replicas(workload: Manifest, manifests: Sequence[Manifest]) -> str:
    name = name_of(workload)
    for each in of_kind(manifests, "HorizontalPodAutoscaler"):
        if each["spec"]["scaleTargetRef"]["name"] == name:
            target = each["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"]
            return f"{each['spec']['minReplicas']} to {each['spec']['maxReplicas']} by CPU ({target} %)"
    for each in of_kind(manifests, "ScaledObject"):
        if each["spec"]["scaleTargetRef"]["name"] == name:
            return f"{each['spec']['minReplicaCount']} to {each['spec']['maxReplicaCount']} by lag"
    return str(workload["spec"]["replicas"])


def _update(workload: Manifest) -> str:
    strategy = workload["spec"]["strategy"]
    if strategy["type"] == "Recreate":
        return "one after the other"
    return f"{strategy['rollingUpdate']['maxSurge']} more, {strategy['rollingUpdate']['maxUnavailable']} fewer"


def _steps(rollout: Manifest) -> str:
    steps = rollout["spec"]["strategy"]["canary"]["steps"]
    return ", ".join(f"{step['setWeight']} %" for step in steps if "setWeight" in step)


def _secrets(container: Any, pod: Any) -> list[str]:
    found = {
        each["valueFrom"]["secretKeyRef"]["name"]
        for each in container["env"]
        if "secretKeyRef" in each.get("valueFrom", {})
    }
    found |= {each["secret"]["secretName"] for each in pod["volumes"] if "secret" in each}
    return sorted(found)
