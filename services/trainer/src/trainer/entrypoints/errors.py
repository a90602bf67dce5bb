"""What the errors of the ports mean to whoever called: again later, or never."""

import lake
import lake.errors
from kafka_runtime.errors import Retryable
from registry import RegistryUnavailable, UnknownModel, UnknownVersion
from trainer.domain.errors import NoSuchEvent, NoSuchModel, NotAllowed, TryAgain

AGAIN_LATER: tuple[type[Exception], ...] = (Retryable, lake.Retryable, RegistryUnavailable, TryAgain)

STATUS: dict[type[Exception], tuple[int, str]] = {
    NoSuchModel: (404, "Unknown model"),
    NoSuchEvent: (404, "Unknown event"),
    UnknownModel: (404, "Unknown model"),
    UnknownVersion: (404, "Unknown version"),
    lake.errors.TableMissing: (404, "No dataset yet"),
    lake.errors.VersionGone: (410, "No longer readable"),
    NotAllowed: (409, "Not allowed now"),
    **dict.fromkeys(AGAIN_LATER, (503, "Something this needs does not answer")),
}


def retry_after_s(error: Exception) -> float:
    """How long to wait before the same again."""
    return float(getattr(error, "retry_after_s", None) or 2.0)
