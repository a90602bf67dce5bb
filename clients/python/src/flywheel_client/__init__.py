"""The Python client of Flywheel: ask a model, tell it what was right, learn what that taught.

    from flywheel_client import Client, Feedback

    with Client() as flywheel:
        [answer] = flywheel.predict("flights", [{"carrier": "UA", "distance": 1400}], user_id="ada")
        told = flywheel.feedback(Feedback.correction("late", token=answer.feedback_token))
        flywheel.status(told.event_id).trained_into

`AsyncClient` has the same methods as coroutines; `FeedbackQueue` sends in the background.
"""

from flywheel_client.asynchronous import AsyncClient
from flywheel_client.errors import (
    ApiError,
    Conflict,
    FieldError,
    FlywheelError,
    Forbidden,
    Invalid,
    NotFound,
    QueueClosed,
    QueueFull,
    TooLarge,
    TooManyRequests,
    Transient,
    Unauthorized,
    Unavailable,
    Unexpected,
    Unreachable,
)
from flywheel_client.models import Accepted, BatchResult, Feedback, Item, Prediction, Problem, Status
from flywheel_client.queue import FeedbackQueue
from flywheel_client.retry import Retry
from flywheel_client.synchronous import Client

__all__ = [
    "Accepted",
    "ApiError",
    "AsyncClient",
    "BatchResult",
    "Client",
    "Conflict",
    "Feedback",
    "FeedbackQueue",
    "FieldError",
    "FlywheelError",
    "Forbidden",
    "Invalid",
    "Item",
    "NotFound",
    "Prediction",
    "Problem",
    "QueueClosed",
    "QueueFull",
    "Retry",
    "Status",
    "TooLarge",
    "TooManyRequests",
    "Transient",
    "Unauthorized",
    "Unavailable",
    "Unexpected",
    "Unreachable",
]
