"""What binds the fields of feedback to its model and to the prediction it is about."""

from flywheel_schemas.events import missing_parts
from flywheel_schemas.tokens import FeedbackToken
from ingest.domain.models import KnownModel
from ingest.domain.refusals import Violation
from ingest.domain.submission import Submission


def violations(submission: Submission, model: KnownModel, token: FeedbackToken | None) -> list[Violation]:
    """Everything that keeps `submission` from being taken as feedback on `model`; empty when nothing does."""
    found = [] if token is None else _disagreements(submission, token)
    missing = missing_parts(
        submission.kind,
        has_prediction=submission.prediction_id is not None or token is not None,
        has_features=submission.features is not None,
        has_label=submission.label is not None,
        has_rating=submission.rating is not None,
    )
    if missing:
        found.append(Violation("", missing))
    if submission.label is not None:
        found += model.label_violations(submission.label)
    if submission.features is not None:
        found += model.feature_violations(submission.features)
    return found


def _disagreements(submission: Submission, token: FeedbackToken) -> list[Violation]:
    found = []
    if submission.model is not None and submission.model != token.model:
        found.append(Violation("/model", f"the feedback_token belongs to model {token.model}; leave model out"))
    if submission.prediction_id is not None and str(submission.prediction_id) != token.prediction_id:
        detail = f"the feedback_token belongs to prediction {token.prediction_id}; leave prediction_id out"
        found.append(Violation("/prediction_id", detail))
    label = submission.label
    if submission.kind == "confirmation" and label is not None and label != token.predicted:
        detail = f"a confirmation's label is what was predicted, {token.predicted!r}; send a correction to change it"
        found.append(Violation("/label", detail))
    return found
