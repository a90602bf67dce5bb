"""A replica that Kubernetes replaces: its gRPC clients move to another one, and none of their calls fails."""

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import tritonclient.grpc as triton
import yaml

from inference.settings import InferenceSettings
from tests.contract.open_inference_server import MODEL, serving
from tests.waiting import until

_MANIFEST = Path(__file__).parents[2] / "deploy/k8s/base/inference.yaml"


class Endpoints:
    """An address as a Kubernetes Service is one: connections stay where they are, new ones go to who is ready."""

    def __init__(self) -> None:
        self.ready = ""
        self.open = Counter[str]()
        self.address = ""

    @contextmanager
    def listening(self) -> Iterator["Endpoints"]:
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        server = asyncio.run_coroutine_threadsafe(asyncio.start_server(self._hand_on, "127.0.0.1", 0), loop).result()
        self.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            loop.call_soon_threadsafe(server.close)
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    async def _hand_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        replica = self.ready
        there_reader, there_writer = await asyncio.open_connection(*replica.split(":"))
        self.open[replica] += 1
        await asyncio.gather(_copy(reader, there_writer), _copy(there_reader, writer))
        self.open[replica] -= 1


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


class Asking:
    """Clients over gRPC that ask again as soon as they are answered; each keeps its connection."""

    def __init__(self, address: str, clients: int = 3) -> None:
        self.answers = 0
        self.failures: list[str] = []
        self._address, self._stopping = address, threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def __enter__(self) -> "Asking":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        carrier = triton.InferInput("carrier", [1], "BYTES")
        carrier.set_data_from_numpy(np.array([b"UA"], dtype=np.object_))
        # Channels of one process share connections unless they are told apart.
        apart = [("grpc.use_local_subchannel_pool", 1)]
        with triton.InferenceServerClient(self._address, channel_args=apart) as client:
            while not self._stopping.wait(0.01):
                try:
                    client.infer(MODEL, [carrier])
                except Exception as exc:
                    self.failures.append(repr(exc))
                else:
                    self.answers += 1


def test_grpc_clients_move_before_the_replica_ends(tmp_path: Path) -> None:
    age = {"INFERENCE_GRPC_CONNECTION_AGE_S": "1"}
    with (
        serving(tmp_path / "new") as new,
        Endpoints().listening() as endpoints,
        serving(tmp_path / "old", **age) as old,
    ):
        endpoints.ready = old.grpc
        with Asking(endpoints.address) as asking:
            until(lambda: endpoints.open[old.grpc] == 3 and asking.answers > 30, what="load")
            endpoints.ready = new.grpc
            until(lambda: not endpoints.open[old.grpc], what="the old replica's clients to move")
            answered = asking.answers
            until(lambda: asking.answers > answered + 30, what="answers of the new replica")
            assert endpoints.open == {old.grpc: 0, new.grpc: 3}
        assert asking.failures == []


def test_the_manifest_gives_them_the_time() -> None:
    workload = next(one for one in yaml.safe_load_all(_MANIFEST.read_text()) if one["kind"] == "Deployment")
    (container,) = workload["spec"]["template"]["spec"]["containers"]
    pause_s = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pause_s > 1.1 * InferenceSettings.model_fields["grpc_connection_age_s"].default
