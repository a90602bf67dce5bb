import pytest

from flywheel_schemas.topics import PREDICTIONS
from stream_processor.entrypoints.application import is_about_feedback


@pytest.mark.parametrize(
    ("value", "about_feedback"),
    [
        (b'{"model": "m", "topic": "feedback-events", "rows": 3}', True),
        (f'{{"model": "m", "topic": "{PREDICTIONS.name}", "rows": 3}}'.encode(), False),
        (b"not JSON", True),
        (b"\xff", True),
    ],
)
def test_only_commits_of_feedback_and_unreadable_ones_are_looked_into(value, about_feedback):
    assert is_about_feedback(value) is about_feedback
