from collections.abc import Iterator

import pytest
from confluent_kafka import KafkaError, KafkaException

from kafka_runtime import reader
from kafka_runtime.errors import BrokerUnavailable, UnknownTopic
from kafka_runtime.reader import AssignedReader
from kafka_runtime.settings import KafkaSettings


class Broker:
    """Answers a question about watermarks with these errors, in turn, and then with the offsets."""

    def __init__(self, errors: Iterator[int]) -> None:
        self._errors = errors

    def get_watermark_offsets(self, *_: object, **__: object) -> tuple[int, int]:
        if (code := next(self._errors, None)) is not None:
            raise KafkaException(KafkaError(code))
        return 3, 7


def asked(*errors: int, for_ever: int | None = None) -> tuple[int, int]:
    read = AssignedReader(KafkaSettings(bootstrap_servers="127.0.0.1:9"), "feedback-events")
    read._consumer.close()
    read._consumer = Broker(iter(errors) if for_ever is None else iter(lambda: for_ever, None))
    return read.watermarks(0, timeout_s=0.3)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_UNKNOWN_S", 0.2)
    monkeypatch.setattr(reader, "_ASK_AGAIN_S", 0.001)


@pytest.mark.parametrize("code", [KafkaError._UNKNOWN_PARTITION, KafkaError.NOT_LEADER_FOR_PARTITION])
def test_a_partition_that_is_not_known_yet_is_asked_for_again(code):
    assert asked(code, code) == (3, 7)


def test_one_that_stays_unknown_is_said_to_be():
    with pytest.raises(UnknownTopic):
        asked(for_ever=KafkaError._UNKNOWN_PARTITION)


def test_one_without_a_leader_is_not_waited_for_without_end():
    with pytest.raises(BrokerUnavailable):
        asked(for_ever=KafkaError.LEADER_NOT_AVAILABLE)


def test_other_errors_are_told_at_once():
    with pytest.raises(BrokerUnavailable):
        asked(KafkaError._TRANSPORT)
