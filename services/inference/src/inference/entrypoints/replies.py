"""How requests for predictions ended, whichever way they came."""

from typing import Any

from telemetry import metrics

PREDICT, INFER, GRPC = "/v1/models/{model}/predict", "/v2/models/{model}/infer", "ModelInfer"
_REQUESTS = metrics.counter(
    "flywheel_inference_requests_total",
    "Requests for predictions; status as in HTTP, also where they came by gRPC.",
    ("endpoint", "status"),
)
# Looking a child up costs more than counting does.
_children: dict[tuple[str, int], Any] = {}


def replied(endpoint: str, status: int) -> None:
    """A request was answered with `status`."""
    child = _children.get((endpoint, status))
    if child is None:
        child = _children[endpoint, status] = _REQUESTS.labels(endpoint, str(status))
    child.inc()
