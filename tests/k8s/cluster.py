"""A real control plane on loopback, of one session: etcd, API server, controllers and a node without a kubelet.

Its binaries are built from the pins in deploy/k8s/tools. Pods are admitted, scheduled and said to be running by KWOK;
nothing runs in them.
"""

import json
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from flywheel_local.ports import free_ports
from tests.k8s.tools import Program, module_folder

KUBERNETES = "v1.36.3"
_VERSION = f"-X k8s.io/component-base/version.gitVersion={KUBERNETES}"
ETCD = Program("cluster", "./etcd")
API_SERVER, CONTROLLERS, SCHEDULER, KUBECTL = (
    Program("cluster", f"k8s.io/kubernetes/cmd/{name}", _VERSION)
    for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
)
KWOK = Program("kwok", "sigs.k8s.io/kwok/cmd/kwok")
ROLLOUTS = Program("rollouts", "github.com/argoproj/argo-rollouts/cmd/rollouts-controller")
ROLLOUTS_CTL = Program("rollouts", "github.com/argoproj/argo-rollouts/cmd/kubectl-argo-rollouts")
EVERY = (ETCD, API_SERVER, CONTROLLERS, SCHEDULER, KUBECTL, KWOK, ROLLOUTS, ROLLOUTS_CTL)
_STAGES = ("node/fast/node-initialize", "pod/fast/pod-ready", "pod/fast/pod-complete", "pod/fast/pod-delete")
_CONTROLLERS = (
    "deployment replicaset statefulset job disruption endpointslice serviceaccount namespace garbage-collector"
    " horizontal-pod-autoscaler"
)
_NODE = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {"name": "node-1", "labels": {"kubernetes.io/hostname": "node-1", "topology.kubernetes.io/zone": "a"}},
    "status": {"allocatable": {"cpu": "64", "memory": "256Gi", "pods": "200", "ephemeral-storage": "500Gi"}},
}


@dataclass(frozen=True, slots=True)
class Cluster:
    """Talks to the control plane as its administrator."""

    kubeconfig: Path

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """What kubectl prints. Raises AssertionError with what it complains of."""
        return self.run([str(KUBECTL.path()), *arguments], stdin)

    def rollouts(self, *arguments: str) -> str:
        """What `kubectl argo rollouts` prints."""
        return self.run([str(ROLLOUTS_CTL.path()), *arguments])

    def run(self, command: Sequence[str], stdin: str | None = None) -> str:
        """What the command prints with this cluster as its own."""
        environment = os.environ | {"KUBECONFIG": str(self.kubeconfig)}
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, env=environment)
        if done.returncode:
            raise AssertionError(f"{Path(command[0]).name} {' '.join(command[1:])}: {done.stderr}")
        return done.stdout

    def apply(self, manifests: Sequence[Any]) -> str:
        """Server-side, with every unknown field refused; a line for each object."""
        text = yaml.safe_dump_all(manifests)
        return self.kubectl("apply", "--server-side", "--force-conflicts", "--validate=strict", "-f", "-", stdin=text)

    def get(self, *what: str) -> Any:
        """Objects as kubectl has them."""
        return json.loads(self.kubectl("get", *what, "-o", "json"))

    def until(self, true: Callable[[], bool], timeout_s: float = 180.0) -> None:
        """Wait for something to come true."""
        deadline = time.monotonic() + timeout_s
        while not true():
            assert time.monotonic() < deadline, "it did not come to pass in time"
            time.sleep(0.3)


@contextmanager
def running(home: Path) -> Iterator[Cluster]:
    """A control plane that ends with the block. Everything listens on loopback."""
    started: list[subprocess.Popen[bytes]] = []
    try:
        yield _start(home, started)
    finally:
        for process in reversed(started):
            process.send_signal(signal.SIGTERM)
        for process in started:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def _start(home: Path, started: list[subprocess.Popen[bytes]]) -> Cluster:
    etcd, peer, api, *others = free_ports(8)
    token = secrets.token_hex(16)
    _write_keys(home, token)
    cluster = Cluster(_kubeconfig(home, api, token))

    def start(program: Program, *arguments: str) -> None:
        with (home / f"{program.name}.log").open("wb") as log:
            command = [str(program.path()), *arguments]
            environment = os.environ | {"KUBECONFIG": str(cluster.kubeconfig)}
            started.append(subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=home))

    clients, peers = f"http://127.0.0.1:{etcd}", f"http://127.0.0.1:{peer}"
    start(
        ETCD,
        f"--data-dir={home}/etcd",
        *(f"--{name}-client-urls={clients}" for name in ("listen", "advertise")),
        *(f"--{name}-peer-urls={peers}" for name in ("listen", "initial-advertise")),
        f"--initial-cluster=default={peers}",
        "--unsafe-no-fsync",
    )
    start(API_SERVER, *_api_server(home, clients, api))
    cluster.until(lambda: _answers(cluster))
    own = [f"--kubeconfig={cluster.kubeconfig}", "--leader-elect=false"]
    names = ",".join(f"{name}-controller" for name in _CONTROLLERS.split())
    key = f"--service-account-private-key-file={home}/sa.key"
    start(CONTROLLERS, *own, *_listen(home, others[0]), f"--controllers={names}", key)
    start(SCHEDULER, *own, *_listen(home, others[1]))
    start(KWOK, *_kwok(home, cluster, others[2]))
    metrics = [f"--metricsport={others[3]}", f"--healthzPort={others[4]}"]
    cluster.apply([_NODE])
    _start_rollouts(cluster, lambda: start(ROLLOUTS, *own, *metrics))
    return cluster


def _start_rollouts(cluster: Cluster, start: Callable[[], None]) -> None:
    """Its CRDs first, since it looks for them as it starts."""
    folder = module_folder("github.com/argoproj/argo-rollouts")
    for crd in sorted((folder / "manifests/crds").glob("*-crd.yaml")):
        cluster.kubectl("apply", "--server-side", "-f", str(crd))
    cluster.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
    start()


def _answers(cluster: Cluster) -> bool:
    try:
        return cluster.kubectl("get", "--raw=/readyz") == "ok"
    except AssertionError:
        return False


def _listen(home: Path, port: int) -> list[str]:
    return ["--bind-address=127.0.0.1", f"--secure-port={port}", f"--cert-dir={home}/certs-{port}"]


def _api_server(home: Path, etcd: str, port: int) -> list[str]:
    return [
        f"--etcd-servers={etcd}",
        *_listen(home, port),
        f"--service-account-key-file={home}/sa.pub",
        f"--service-account-signing-key-file={home}/sa.key",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--token-auth-file={home}/tokens.csv",
        "--authorization-mode=RBAC",
        # A node is tainted as it is made, and no kubelet is there to tell the controller otherwise.
        "--disable-admission-plugins=TaintNodesByCondition",
        "--service-cluster-ip-range=10.96.0.0/16",
    ]


def _kwok(home: Path, cluster: Cluster, port: int) -> list[str]:
    folder = module_folder("sigs.k8s.io/kwok") / "kustomize/stage"
    stages = home / "stages.yaml"
    stages.write_text("\n---\n".join((folder / f"{name}.yaml").read_text() for name in _STAGES))
    listen = [f"--server-address=127.0.0.1:{port}", "--node-ip=10.0.0.1", "--node-port=0"]
    return [f"--kubeconfig={cluster.kubeconfig}", f"--config={stages}", "--manage-all-nodes=true", *listen]


def _write_keys(home: Path, token: str) -> None:
    for command in (["genrsa", "-out", "sa.key", "2048"], ["rsa", "-in", "sa.key", "-pubout", "-out", "sa.pub"]):
        subprocess.run(["openssl", *command], cwd=home, check=True, capture_output=True)
    (home / "tokens.csv").write_text(f"{token},admin,admin,system:masters\n")


def _kubeconfig(home: Path, port: int, token: str) -> Path:
    path = home / "kubeconfig"
    server = {"server": f"https://127.0.0.1:{port}", "insecure-skip-tls-verify": True}
    path.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "here", "cluster": server}],
                "users": [{"name": "admin", "user": {"token": token}}],
                "contexts": [{"name": "here", "context": {"cluster": "here", "user": "admin"}}],
                "current-context": "here",
            }
        )
    )
    return path
