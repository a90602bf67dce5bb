"""A replica that Kubernetes replaces: its gRPC clients move to another one, and none of their calls fails."""

from pathlib import Path

import numpy as np
import tritonclient.grpc as triton
import yaml
from typing_extensions import override

from inference.settings import InferenceSettings
from tests.asking import Asking
from tests.contract.open_inference_server import MODEL, serving
from tests.relay import Relay
from tests.waiting import until

_MANIFEST = Path(__file__).parents[2] / "deploy/k8s/base/inference.yaml"


class Calling(Asking):
    """Clients over gRPC that ask again as soon as they are answered; each keeps its connection."""

    def __init__(self, address: str, clients: int = 3) -> None:
        super().__init__(clients)
        self.answers = 0
        self._address = address

    @override
    def ask(self, number: int) -> None:
        carrier = triton.InferInput("carrier", [1], "BYTES")
        carrier.set_data_from_numpy(np.array([b"UA"], dtype=np.object_))
        # Channels of one process share connections unless they are told apart.
        apart = [("grpc.use_local_subchannel_pool", 1)]
        with triton.InferenceServerClient(self._address, channel_args=apart) as client:
            while not self.stopping.wait(0.01):
                try:
                    client.infer(MODEL, [carrier])
                except Exception as exc:
                    self.failures.append(repr(exc))
                else:
                    self.answers += 1


def test_grpc_clients_move_before_the_replica_ends(tmp_path: Path) -> None:
    age = {"INFERENCE_GRPC_CONNECTION_AGE_S": "1"}
    with serving(tmp_path / "new") as new, serving(tmp_path / "old", **age) as old:
        service = Relay(old.grpc)  # as a Kubernetes Service: new connections go to who is ready, others stay
        with Calling(service.address) as calling:
            until(lambda: service.open[old.grpc] == 3 and calling.answers > 30, what="load")
            service.upstream = new.grpc
            until(lambda: not service.open[old.grpc], what="the old replica's clients to move")
            answered = calling.answers
            until(lambda: calling.answers > answered + 30, what="answers of the new replica")
            assert service.open == {old.grpc: 0, new.grpc: 3}
        assert calling.failures == []


def test_the_manifest_gives_them_the_time() -> None:
    workload = next(one for one in yaml.safe_load_all(_MANIFEST.read_text()) if one["kind"] == "Deployment")
    (container,) = workload["spec"]["template"]["spec"]["containers"]
    pause_s = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pause_s > 1.1 * InferenceSettings.model_fields["grpc_connection_age_s"].default
