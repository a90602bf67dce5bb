import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flywheel_cli.event_words import in_words
from flywheel_schemas.topics import ALL_TOPICS
from kafka_runtime.dead_letter import headers
from kafka_runtime.record import Record

_SAMPLES = Path(__file__).parents[2] / "schemas/samples"


def words_of(topic: str, event: str, sample: str) -> str:
    raw = (_SAMPLES / event / "v1" / f"{sample}.json").read_bytes()
    return in_words(Record(topic, 0, 0, b"k", raw), json.loads(raw))


@pytest.mark.parametrize(
    ("topic", "event", "sample", "words"),
    [
        (
            "feedback-events",
            "feedback",
            "correction-full",
            "correction for flights, label late, predicted on_time by version 3, rating 2, audited",
        ),
        (
            "predictions",
            "prediction",
            "binary",
            "flights version 3 (champion) said on_time in 0.42 ms, feedback asked for",
        ),
        (
            "dataset-committed",
            "dataset-committed",
            "minimal",
            "900 rows in version 12, 80 duplicates, 20 quarantined (feedback-events/3 offsets 1000 to 1999)",
        ),
        (
            "threshold-reached",
            "threshold-reached",
            "count",
            "retrain on count: 2004 of 2000 at version 12, trigger 8a1b0f0a-4e0b-5b36-9df5-2b7d7f2b7c01",
        ),
        ("model-updated", "model-updated", "promoted-full", "version 4 promoted, 100 % of traffic: all gates passed"),
    ],
)
def test_an_event_is_told_in_words(topic: str, event: str, sample: str, words: str) -> None:
    assert words_of(topic, event, sample) == words


def test_a_dead_letter_tells_why_and_where_it_died() -> None:
    dead = Record("feedback-events", 3, 41, b"k", b"\xff\xfe")
    letter = Record("feedback-dead-letter", 3, 0, b"k", b"\xff\xfe", headers(dead, "invalid UTF-8", "…"))
    assert in_words(letter, {}) == "invalid UTF-8 (from feedback-events, partition 3, offset 41; 2 bytes)"


def test_a_tombstone_is_a_deletion() -> None:
    assert in_words(Record("model-updated", 0, 0, b"flights", None), {}) == "deleted"


@given(
    topic=st.sampled_from([t.name for t in ALL_TOPICS]),
    body=st.dictionaries(st.sampled_from(["kind", "label", "predicted", "rating", "reason"]), st.text() | st.none()),
    raw=st.binary(min_size=1),
)
def test_words_never_fail_and_never_disturb_a_terminal(topic: str, body: dict[str, str | None], raw: bytes) -> None:
    told = in_words(Record(topic, 0, 0, b"k", raw), body)
    assert len(told) <= 160
    assert told.isprintable()
