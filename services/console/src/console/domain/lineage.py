"""One piece of feedback's way: what has happened, what happens next."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Step:
    """One station. `when`: done, now (it waits here), later, or stopped (it goes no further)."""

    name: str
    when: Literal["done", "now", "later", "stopped"]
    says: str


def steps(status: Mapping[str, Any], event: Mapping[str, Any] | None) -> Sequence[Step]:
    """The stations of an event, from ingest's answer about it and, where it is known, the event itself."""
    made = [_predicted(event), Step("Accepted", "done", "Kafka has it")]
    where = status["status"]
    if where in ("quarantined", "dead_lettered", "erased"):
        words = {"quarantined": "In quarantine", "dead_lettered": "Not processed", "erased": "Erased"}
        return [*made, Step(words[where], "stopped", str(status.get("reason") or "on its user's wish"))]
    if where == "received":
        return [*made, Step("In the dataset", "now", "within two seconds"), *_later("Trained into", "Serving")]
    version = status.get("dataset_version")
    made.append(Step("In the dataset", "done", f"version {version}" if version is not None else "stored"))
    trained: Sequence[str] = status["trained_into"]
    if not trained:
        return [*made, Step("Trained into", "now", "at the next retraining"), *_later("Serving")]
    made.append(Step("Trained into", "done", f"version {', '.join(trained)}"))
    serving = status["serving"]
    return [*made, Step("Serving", "done" if serving else "now", "answers now" if serving else "not the champion")]


def _predicted(event: Mapping[str, Any] | None) -> Step:
    if event is None or event.get("prediction_id") is None:
        return Step("Said", "done", "without a prediction" if event is not None else "")
    return Step("Predicted", "done", f"{event.get('predicted', '?')} by version {event.get('model_version', '?')}")


def _later(*names: str) -> list[Step]:
    return [Step(name, "later", "") for name in names]
