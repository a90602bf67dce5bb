"""Which pod may open a connection to which, as NetworkPolicies decide it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.k8s.rendering import WORKLOADS, Manifest, of_kind


@dataclass(frozen=True)
class Pod:
    """A pod as policies see it. `ports` are its named ports."""

    name: str
    labels: Mapping[str, str]
    namespace: Mapping[str, str]
    ports: Mapping[str, int]


def pods(manifests: Sequence[Manifest]) -> list[Pod]:
    """One pod of each workload."""
    return [_pod(each) for each in of_kind(manifests, *WORKLOADS)]


def outsider(name: str, namespace: Mapping[str, str], labels: Mapping[str, str] | None = None) -> Pod:
    """A pod of somebody else's namespace."""
    return Pod(name, labels or {}, namespace, {})


def may_connect(source: Pod, target: Pod, port: int, policies: Sequence[Manifest], namespace: str) -> bool:
    """Whether the source's egress and the target's ingress rules both let it through."""
    here = [each for each in policies if each["metadata"].get("namespace") == namespace]
    return _lets(source, target, port, here, "egress", namespace) and _lets(
        target, source, port, here, "ingress", namespace
    )


def _lets(own: Pod, other: Pod, port: int, policies: Sequence[Manifest], way: str, namespace: str) -> bool:
    if own.namespace.get("kubernetes.io/metadata.name") != namespace:
        return True
    concerned = [
        each["spec"]
        for each in policies
        if way.capitalize() in each["spec"]["policyTypes"] and _selects(each["spec"]["podSelector"], own.labels)
    ]
    listening = other if way == "egress" else own
    rules = [rule for spec in concerned for rule in spec.get(way, ())]
    side = "to" if way == "egress" else "from"
    return not concerned or any(
        _port_fits(rule, port, listening)
        and any(_peer_fits(peer, other, own.namespace) for peer in rule.get(side, ({},)))
        for rule in rules
    )


def _peer_fits(peer: Any, pod: Pod, home: Mapping[str, str]) -> bool:
    if "ipBlock" in peer:
        return False
    if "namespaceSelector" in peer:
        if not _selects(peer["namespaceSelector"], pod.namespace):
            return False
    elif pod.namespace != home:
        return False
    return _selects(peer.get("podSelector", {}), pod.labels)


def _port_fits(rule: Any, port: int, listening: Pod) -> bool:
    wanted = [each["port"] for each in rule.get("ports", ())]
    return not wanted or any(listening.ports.get(each, each) == port for each in wanted)


def _selects(selector: Any, labels: Mapping[str, str]) -> bool:
    equal = all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())
    among = all(labels.get(each["key"]) in each["values"] for each in selector.get("matchExpressions", ()))
    return equal and among


def _pod(workload: Manifest) -> Pod:
    template = workload["spec"]["template"]
    ports = {
        port["name"]: port["containerPort"]
        for container in template["spec"]["containers"]
        for port in container.get("ports", ())
    }
    namespace = {"kubernetes.io/metadata.name": workload["metadata"]["namespace"]}
    return Pod(workload["metadata"]["name"], template["metadata"]["labels"], namespace, ports)
