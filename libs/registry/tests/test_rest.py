import socket

import pytest

from registry.errors import RegistryUnavailable
from registry.rest import MlflowRest
from registry.settings import RegistrySettings


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_server_that_is_away_is_tried_again_and_then_named() -> None:
    waits: list[float] = []
    uri = f"http://127.0.0.1:{free_port()}"
    rest = MlflowRest(RegistrySettings(mlflow_tracking_uri=uri), attempts=3, sleep=waits.append)
    with pytest.raises(RegistryUnavailable, match=uri) as caught:
        rest.get("registered-models/search")
    assert len(waits) == 2
    assert waits == sorted(waits)
    assert caught.value.retry_after_s > 0


def test_what_would_make_a_second_thing_is_sent_once() -> None:
    waits: list[float] = []
    uri = f"http://127.0.0.1:{free_port()}"
    rest = MlflowRest(RegistrySettings(mlflow_tracking_uri=uri), attempts=3, sleep=waits.append)
    with pytest.raises(RegistryUnavailable):
        rest.post("runs/create", {}, repeatable=False)
    assert waits == []
