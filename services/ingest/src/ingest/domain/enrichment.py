"""From what a client sent to the event that is published."""

from flywheel_schemas.tokens import FeedbackToken
from ingest.domain.submission import Arrival, FeedbackEvent, Submission


def enriched(
    submission: Submission, token: FeedbackToken | None, event_id: str, user_hash: str | None, arrival: Arrival
) -> FeedbackEvent:
    """The event of a `submission` without violations.

    A confirmation says that what was predicted is right, so a token gives it its label.
    """
    event = FeedbackEvent(
        event_id=event_id,
        model=submission.model or "",
        kind=submission.kind,
        prediction_id=submission.prediction_id,
        features=submission.features,
        label=submission.label,
        rating=submission.rating,
        comment=submission.comment,
        user_hash=user_hash,
        key_id=arrival.key_id,
        source=submission.source or "api",
        occurred_at=submission.occurred_at or arrival.received_at,
        received_at=arrival.received_at,
    )
    if token is not None:  # else the submission names its model
        event.model = token.model
        event.prediction_id = token.prediction_id
        event.model_version = token.model_version
        event.variant = token.variant
        event.predicted = token.predicted
        event.audited = token.audited
        if submission.kind == "confirmation":
            event.label = token.predicted
    return event
