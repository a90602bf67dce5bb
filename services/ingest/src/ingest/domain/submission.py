"""Feedback as a client sent it, and as it goes on: two forms of the same contract, made for speed.

The contract itself is flywheel_schemas.FeedbackRequest and Feedback (Pydantic). These types accept
less, never more: what they refuse, the contract decides.
"""

from datetime import datetime
from typing import Annotated, Literal, NamedTuple
from uuid import UUID

import msgspec

from flywheel_schemas.events import MAX_COMMENT_CHARS, MAX_TEXT_CHARS

Kind = Literal["correction", "confirmation", "rating", "example"]
_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TEXT_CHARS)]
FeatureValues = dict[str, str | float | None]


class Submission(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, gc=False):
    """One piece of feedback as it came in, `occurred_at` in UTC. An explicit null reads like an absent field."""

    kind: Kind
    event_id: UUID | None = None
    model: str | None = None
    prediction_id: UUID | None = None
    feedback_token: Annotated[str, msgspec.Meta(max_length=2048)] | None = None
    features: FeatureValues | None = None
    label: Annotated[str, msgspec.Meta(max_length=MAX_TEXT_CHARS)] | float | None = None
    rating: Annotated[int, msgspec.Meta(ge=1, le=5)] | None = None
    comment: Annotated[str, msgspec.Meta(max_length=MAX_COMMENT_CHARS)] | None = None
    user_id: _Text | None = None
    source: _Text | None = None
    occurred_at: datetime | None = None


class Arrival(NamedTuple):
    """When feedback came in, and by which API key (None where no keys are in use)."""

    received_at: datetime
    key_id: str | None


class FeedbackEvent(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """feedback v1 as it is published: what was sent, less the token and the user's id, plus what the server knows."""

    event_id: str
    model: str
    kind: str
    prediction_id: UUID | str | None = None
    features: FeatureValues | None = None
    label: str | float | None = None
    rating: int | None = None
    comment: str | None = None
    user_hash: str | None = None
    key_id: str | None = None
    model_version: str | None = None
    variant: str | None = None
    predicted: str | float | None = None
    audited: bool | None = None
    source: str
    occurred_at: datetime
    received_at: datetime
