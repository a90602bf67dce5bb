"""Each operation as data: what to ask, of which service, and how to read the answer. No input or output here."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from flywheel_client.errors import ApiError, Unexpected, error_of
from flywheel_client.models import Accepted, BatchResult, FeatureValue, Feedback, Item, Prediction, Status
from flywheel_client.retry import retry_after_s

MAX_BATCH_EVENTS = 5_000
MAX_BATCH_BYTES = 8 * 1024 * 1024
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Services:
    """Where the services are, and the key to show them."""

    ingest_url: str
    inference_url: str
    api_key: str | None

    def headers(self) -> dict[str, str]:
        """What goes with every request."""
        return {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request, and what its answer means. `read` raises ApiError."""

    method: str
    url: str
    read: Callable[[httpx.Response], T]
    content: bytes | None = None

    @property
    def headers(self) -> dict[str, str]:
        """The body's type, where there is one."""
        return {} if self.content is None else {"Content-Type": "application/json"}


class _Predictions(msgspec.Struct):
    predictions: list[Prediction]


def predict(
    services: Services,
    model: str,
    instances: Sequence[Mapping[str, FeatureValue]],
    user_id: str | None = None,
    explain: bool = False,
) -> Call[list[Prediction]]:
    """POST /v1/models/{model}/predict."""
    body: dict[str, object] = {"instances": instances}
    if user_id is not None:
        body["user_id"] = user_id
    url = f"{services.inference_url}/v1/models/{quote(model, safe='')}/predict{'?explain=true' if explain else ''}"
    reads = _reads(_Predictions)
    return Call("POST", url, lambda answer: reads(answer).predictions, msgspec.json.encode(body))


def feedback(services: Services, said: Feedback) -> Call[Accepted]:
    """POST /v1/feedback."""
    return Call("POST", f"{services.ingest_url}/v1/feedback", _reads(Accepted), msgspec.json.encode(said))


def batches(services: Services, said: Sequence[Feedback]) -> list[Call[BatchResult]]:
    """POST /v1/feedback/batch, as often as the service's limits ask for, in order."""
    url = f"{services.ingest_url}/v1/feedback/batch"
    return [Call("POST", url, _read_batch, content) for content in _bodies(said)]


def status(services: Services, event_id: str) -> Call[Status]:
    """GET /v1/feedback/{event_id}."""
    return Call("GET", f"{services.ingest_url}/v1/feedback/{quote(event_id, safe='')}", _reads(Status))


def join(results: Sequence[BatchResult]) -> BatchResult:
    """The results of consecutive batches as of one."""
    items: list[Item] = []
    for result in results:
        begun = len(items)
        items += [msgspec.structs.replace(item, index=begun + item.index) for item in result.items]
    accepted = sum(result.accepted for result in results)
    return BatchResult(accepted=accepted, rejected=len(items) - accepted, items=items)


def _bodies(said: Sequence[Feedback]) -> list[bytes]:
    bodies: list[bytes] = []
    part: list[bytes] = []
    size = 2
    for raw in map(msgspec.json.encode, said):
        if part and (len(part) == MAX_BATCH_EVENTS or size + len(raw) + 1 > MAX_BATCH_BYTES):
            bodies.append(b"[" + b",".join(part) + b"]")
            part, size = [], 2
        part.append(raw)
        size += len(raw) + 1
    return [*bodies, b"[" + b",".join(part) + b"]"] if part else bodies


def _reads(kind: type[T]) -> Callable[[httpx.Response], T]:
    def read(answer: httpx.Response) -> T:
        if answer.status_code >= 300:
            raise _error(answer)
        return _decode(answer, kind)

    return read


def _read_batch(answer: httpx.Response) -> BatchResult:
    """A batch of which nothing fits (422 with `items`) is a result too; one that was refused whole is an error."""
    told_one_by_one = answer.status_code in {202, 207} or (answer.status_code == 422 and b'"items"' in answer.content)
    if not told_one_by_one:
        raise _error(answer)
    return _decode(answer, BatchResult)


def _error(answer: httpx.Response) -> ApiError:
    return error_of(answer.status_code, answer.content, retry_after_s(answer.headers.get("Retry-After")))


def _decode(answer: httpx.Response, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(answer.content, type=kind)
    except msgspec.MsgspecError as error:
        raise Unexpected(answer.status_code, f"the answer of {answer.url} cannot be read: {error}") from error
