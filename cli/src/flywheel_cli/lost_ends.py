"""Topics that end before what is known of them: they were made anew, or lost records."""

from collections.abc import Mapping
from dataclasses import dataclass

from flywheel_schemas.topics import FEEDBACK_DEAD_LETTER, FEEDBACK_EVENTS, PREDICTIONS, Topic
from kafka_runtime import dead_letter, tail
from kafka_runtime.settings import KafkaSettings
from lake import offsets
from lake.lake import Lake

_TOPICS = (FEEDBACK_EVENTS, PREDICTIONS)
_LONG_S = 600.0
Known = Mapping[tuple[str, int], int]


@dataclass(frozen=True, slots=True)
class LostEnd:
    """A partition whose next record would get `end`, though `known` is the last offset that was dealt with already."""

    topic: Topic
    partition: int
    end: int
    known: int


def find(lake: Lake, kafka: KafkaSettings, letters: Known | None = None) -> list[LostEnd]:
    """Every partition that ends before what the lake and the `letters` know. Raises KafkaRuntimeError and LakeError."""
    found = []
    for topic in _TOPICS:
        held = offsets.newest(lake, topic.name, tail.end_offsets(kafka, topic))
        ends = tail.end_offsets(kafka, topic)  # asked after the lake, which follows them
        for number, end in ends.items():
            known = max(held[number], (letters or {}).get((topic.name, number), -1))
            if known >= end:
                found.append(LostEnd(topic, number, end, known))
    return found


def in_dead_letters(kafka: KafkaSettings) -> Known:
    """By topic and partition, the last offset that a dead letter came from. Raises KafkaRuntimeError.

    Reads all of them. A record that nobody could read stands in no table, and may have been the last of its partition.
    """
    found: dict[tuple[str, int], int] = {}
    for partition in tail.end_offsets(kafka, FEEDBACK_DEAD_LETTER):
        for record in tail.records_from(kafka, FEEDBACK_DEAD_LETTER, partition, 0, _LONG_S):
            if source := dead_letter.source_offset(record.headers):
                topic, number, offset = source
                found[topic, number] = max(offset, found.get((topic, number), -1))
    return found
