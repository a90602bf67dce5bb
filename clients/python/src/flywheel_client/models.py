"""What is sent and what comes back."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal, Self
from uuid import uuid4

import msgspec

from flywheel_client.errors import FieldError

FeatureValue = str | float | None
Label = str | float


def _new_id() -> str:
    return str(uuid4())


def _now() -> datetime:
    return datetime.now(UTC)


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """One answer. Send `feedback_token` back with feedback on it; ask for feedback where `feedback_requested`."""

    prediction_id: str
    feedback_token: str
    feedback_requested: bool
    label: Label
    scores: dict[str, float] | None = None
    model_version: str
    variant: str
    contributions: dict[str, float] | None = None
    base_value: float | None = None


class Feedback(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a person said. Its `event_id` is made here, so however often it is sent, it counts once.

    Made by `correction`, `confirmation`, `rated` or `example`; each takes further fields by name.
    """

    kind: Literal["correction", "confirmation", "rating", "example"]
    # Made anew for each, so omit_defaults never leaves them out.
    event_id: str = msgspec.field(default_factory=_new_id)
    occurred_at: datetime = msgspec.field(default_factory=_now)
    feedback_token: str | None = None
    prediction_id: str | None = None
    model: str | None = None
    features: Mapping[str, FeatureValue] | None = None
    label: Label | None = None
    rating: int | None = None
    comment: str | None = None
    user_id: str | None = None
    source: str | None = None

    @classmethod
    def correction(cls, label: Label, *, token: str | None = None, **more: object) -> Self:
        """`label` would have been right. Needs a token, or `model` with `prediction_id` or `features`."""
        return cls._of("correction", token, label=label, **more)

    @classmethod
    def confirmation(cls, *, token: str | None = None, **more: object) -> Self:
        """The answer was right. Needs a token, or `model` and `prediction_id`."""
        return cls._of("confirmation", token, **more)

    @classmethod
    def rated(cls, rating: int, *, token: str | None = None, **more: object) -> Self:
        """How good the answer was, 1 to 5. Needs a token or `model`."""
        return cls._of("rating", token, rating=rating, **more)

    @classmethod
    def example(cls, model: str, features: Mapping[str, FeatureValue], label: Label, **more: object) -> Self:
        """A case and its right answer, without a prediction."""
        return cls._of("example", None, model=model, features=features, label=label, **more)

    @classmethod
    def _of(cls, kind: str, token: str | None, **fields: object) -> Self:
        """Raises TypeError for a field that there is not, or of a wrong type."""
        given = {name: value for name, value in fields.items() if value is not None}
        if unknown := given.keys() - set(cls.__struct_fields__):
            raise TypeError(f"feedback has no field {', '.join(sorted(unknown))}")
        try:
            return msgspec.convert({"kind": kind, "feedback_token": token, **given}, cls)
        except msgspec.ValidationError as error:
            raise TypeError(str(error)) from error


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """Kafka has the feedback."""

    event_id: str
    message: str


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Why one event of a batch was refused."""

    status: int
    title: str
    detail: str
    errors: Sequence[FieldError] = ()

    @property
    def is_transient(self) -> bool:
        """Whether the same may succeed later."""
        return self.status == 429 or self.status >= 500


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one event of a batch."""

    index: int
    event_id: str | None
    status: Literal["accepted", "rejected"]
    problem: Problem | None = None


class BatchResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a batch. Look at `rejected`: what fits is taken whatever the rest is like."""

    accepted: int
    rejected: int
    items: Sequence[Item]


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """Where one piece of feedback is, and which versions learned from it."""

    event_id: str
    model: str
    status: Literal["received", "stored", "quarantined", "dead_lettered", "erased"]
    received_at: datetime
    trained_into: Sequence[str]
    serving: bool
    dataset_version: int | None = None
    reason: str | None = None
