"""Taking feedback: believe the token, know the model, check the fields, make the event."""

from dataclasses import dataclass
from uuid import uuid4

import msgspec

from flywheel_schemas.tokens import FeedbackToken, TokenError, TokenKeys
from ingest.application.ports import Accepted, Models
from ingest.domain import rules
from ingest.domain.enrichment import enriched
from ingest.domain.refusals import DoesNotFit, TokenMissing, TokenRefused, UnknownModel, Violation
from ingest.domain.submission import Arrival, Submission

_MODEL_MISSING = Violation("/model", "model is missing: name the model, or send the prediction's feedback_token")
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class TokenPolicy:
    """Whether feedback needs a token, and how old one may be (by the server's clock)."""

    required: bool
    max_age_s: float


class Desk:
    """Where feedback is checked in. Decides; sends nothing."""

    def __init__(self, models: Models, keys: TokenKeys, policy: TokenPolicy) -> None:
        self.models = models
        self._keys = keys
        self._policy = policy

    def accept(self, submission: Submission, arrival: Arrival) -> Accepted:
        """The event to publish. Raises Refused; the same submission is refused or accepted whoever parsed it."""
        token = self._token(submission, arrival)
        name = submission.model if token is None else token.model
        if name is None:
            raise DoesNotFit([_MODEL_MISSING])
        model = self.models.get(name)
        if model is None:
            raise UnknownModel(name, self.models.names())
        if found := rules.violations(submission, model, token):
            raise DoesNotFit(found)
        event_id: str = msgspec.to_builtins(submission.event_id or uuid4())  # str() takes four times as long
        user_hash = None if submission.user_id is None else self._keys.user_hash(submission.user_id)
        return Accepted(event_id, name, _encode(enriched(submission, token, event_id, user_hash, arrival)))

    def _token(self, submission: Submission, arrival: Arrival) -> FeedbackToken | None:
        if submission.feedback_token is None:
            if self._policy.required:
                raise TokenMissing(submission.kind)
            return None
        try:
            now_s = arrival.received_at.timestamp()
            return self._keys.verify(submission.feedback_token, now_s=now_s, max_age_s=self._policy.max_age_s)
        except TokenError as error:
            raise TokenRefused(str(error)) from error
