"""The operator's walk on a real control plane: apply everything, then canary, promote, abort, roll back.

`python -m tests.k8s.walk` prints each command with what was seen. Controllers, admission and analyses are the real
ones; pods run nothing (cluster.py), so the numbers that an analysis reads are set here, behind Prometheus' own API.
"""

import json
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.k8s import cluster, rendering, tools
from tests.k8s.rendering import Manifest, of_kind

QUICK = {"pause": "3s", "interval": "2s"}


class Numbers:
    """What every query answers; None for an empty vector."""

    def __init__(self) -> None:
        self.value: float | None = 0.001

    def answer(self) -> Any:
        """As Prometheus' /api/v1/query answers."""
        result = [] if self.value is None else [{"metric": {}, "value": [time.time(), str(self.value)]}]
        return {"status": "success", "data": {"resultType": "vector", "result": result}}


@contextmanager
def served(numbers: Numbers) -> Iterator[str]:
    """The numbers at an address on loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.dumps(numbers.answer()).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


def quick(manifests: list[Manifest], prometheus: str) -> list[Manifest]:
    """The same with pauses of seconds, and analyses that ask `prometheus`."""
    for template in of_kind(manifests, "AnalysisTemplate"):
        for argument in template["spec"]["args"]:
            if argument["name"] == "prometheus":
                argument["value"] = prometheus
        for metric in template["spec"]["metrics"]:
            metric["interval"] = QUICK["interval"]
    for rollout in of_kind(manifests, "Rollout"):
        for step in rollout["spec"]["strategy"]["canary"]["steps"]:
            if "pause" in step:
                step["pause"]["duration"] = QUICK["pause"]
    return manifests


class Walk:
    """Says each command and what came of it."""

    def __init__(self, plane: cluster.Cluster) -> None:
        self.plane = plane

    def install(self) -> None:
        """Every CRD."""
        for crd in (*tools.go_crds(), *tools.strimzi_crds(make=True)):
            self.plane.kubectl("apply", "--server-side", "-f", str(crd))
        self.plane.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")

    def deploy(self, name: str, manifests: list[Manifest]) -> None:
        """Applied, and every Deployment and Rollout has the pods that it wants."""
        first = of_kind(manifests, "Namespace")
        self.plane.apply(first)
        self.plane.until(lambda: self._account_is_there(first[0]["metadata"]["name"]))
        lines = self.plane.apply(manifests).splitlines()
        say(f"{name}: {len(lines)} objects applied server-side, none refused")

    def healthy(self, rollout: str, timeout_s: float = 180.0) -> None:
        """The rollout has become Healthy."""
        try:
            self.plane.until(lambda: self.phase(rollout) == "Healthy", timeout_s)
        except AssertionError as error:
            seen = self.plane.rollouts("get", "rollout", rollout, "-n", "flywheel", "--no-color")
            raise AssertionError(f"{rollout} is not healthy after {timeout_s:g} s:\n{seen}") from error

    def phase(self, rollout: str) -> str:
        """Progressing, Paused, Degraded or Healthy."""
        status = self.plane.get("rollout", rollout, "-n", "flywheel").get("status", {})
        described = self.plane.get("deployment", rollout, "-n", "flywheel")["metadata"]["generation"]
        # The pods' description is the Deployment's, so that is what the controller must have seen.
        seen = status.get("workloadObservedGeneration") == str(described)
        return str(status.get("phase", "")) if seen else "Progressing"

    def change(self, command: str) -> None:
        """A kubectl command, said first."""
        say(f"$ kubectl {command}")
        self._say_all(self.plane.kubectl(*command.split()))

    def rollouts(self, command: str) -> None:
        """A command of the Argo Rollouts plugin, said first."""
        say(f"$ kubectl argo rollouts {command}")
        self._say_all(self.plane.rollouts(*command.split()))

    def _account_is_there(self, namespace: str) -> bool:
        return bool(self.plane.get("serviceaccounts", "-n", namespace)["items"])

    def _say_all(self, text: str) -> None:
        for line in text.rstrip().splitlines():
            say(f"  {line}")


def say(line: str) -> None:
    """To whoever watches."""
    print(line, flush=True)  # noqa: T201


def walk(plane: cluster.Cluster, numbers: Numbers, prometheus: str) -> None:
    """Deploy, a good canary, a bad one, one without numbers, back, more pods, a new processor."""
    steps = Walk(plane)
    steps.install()
    for name in ("local", "staging"):
        steps.deploy(name, rendering.overlay(name))
    steps.deploy("production", quick(rendering.overlay("production"), prometheus))
    for rollout in ("ingest", "inference"):
        steps.healthy(rollout)
    plane.until(lambda: _has_settled(plane))
    steps.change("get deployments,rollouts -n flywheel")

    say("\n# A new image that is well: promoted by its analyses")
    steps.change("set image deployment/ingest service=registry.example/flywheel/ingest:0.2.0 -n flywheel")
    steps.healthy("ingest")
    steps.rollouts("get rollout ingest -n flywheel --no-color")

    say("\n# A new image that fails: aborted, the old one serves")
    numbers.value = 0.9
    steps.change("set image deployment/ingest service=registry.example/flywheel/ingest:0.3.0 -n flywheel")
    plane.until(lambda: steps.phase("ingest") == "Degraded")
    steps.rollouts("get rollout ingest -n flywheel --no-color")
    steps.change("set image deployment/ingest service=registry.example/flywheel/ingest:0.2.0 -n flywheel")
    numbers.value = 0.001
    steps.healthy("ingest")

    say("\n# Metrics without a number: paused for a person, who promotes")
    numbers.value = None
    steps.change("set image deployment/ingest service=registry.example/flywheel/ingest:0.4.0 -n flywheel")
    plane.until(lambda: _is_inconclusive(steps))
    steps.change("get analysisruns -n flywheel")
    steps.rollouts("promote ingest -n flywheel --full")
    steps.healthy("ingest")

    say("\n# Back to the revision before")
    numbers.value = 0.001
    steps.change("rollout undo deployment/ingest -n flywheel")
    steps.healthy("ingest")
    say("  image now: " + _image(plane, "ingest"))

    say("\n# More pods for inference")
    steps.change('patch hpa inference -n flywheel --type merge -p {"spec":{"minReplicas":4}}')
    plane.until(lambda: _replicas(plane, "rollout", "inference") == 4)
    steps.change("get scaledobject,hpa -n flywheel")

    say("\n# A new stream processor, one pod after the other")
    image = "registry.example/flywheel/stream-processor:0.2.0"
    steps.change(f"set image deployment/stream-processor service={image} -n flywheel")
    steps.change("rollout status deployment/stream-processor -n flywheel --timeout=180s")
    say("  image now: " + _image(plane, "stream-processor"))


def _has_settled(plane: cluster.Cluster) -> bool:
    """Whether every Deployment has the pods that it wants, of its newest revision, and no others."""
    found = [(each["spec"], each["status"]) for each in plane.get("deployments", "-n", "flywheel")["items"]]
    return all(
        spec["replicas"] == status.get("replicas", 0) == status.get("updatedReplicas", 0) for spec, status in found
    )


def _replicas(plane: cluster.Cluster, kind: str, name: str) -> int:
    return int(plane.get(kind, name, "-n", "flywheel")["status"].get("readyReplicas", 0))


def _is_inconclusive(steps: Walk) -> bool:
    pauses = steps.plane.get("rollout", "ingest", "-n", "flywheel")["status"].get("pauseConditions") or ()
    return any(each["reason"] == "InconclusiveAnalysisRun" for each in pauses)


def _image(plane: cluster.Cluster, name: str) -> str:
    pods = plane.get("pods", "-n", "flywheel", "-l", f"app.kubernetes.io/name={name}")["items"]
    images = {pod["spec"]["containers"][0]["image"] for pod in pods if "deletionTimestamp" not in pod["metadata"]}
    return ", ".join(sorted(images))


def main() -> int:
    """0 when all of it came to pass."""
    numbers = Numbers()
    try:
        for program in cluster.EVERY:
            program.path()
        with (
            tempfile.TemporaryDirectory() as home,
            served(numbers) as prometheus,
            cluster.running(Path(home)) as plane,
        ):
            walk(plane, numbers, prometheus)
    except tools.ToolError as error:
        say(f"error: {error}")
        return 1
    say("\nEvery overlay was applied, and the walk ended as it should.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
