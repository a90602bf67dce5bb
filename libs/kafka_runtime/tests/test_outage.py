import pytest
from confluent_kafka import KafkaError

from kafka_runtime.outage import OutageLog

_AWAY = KafkaError(KafkaError._ALL_BROKERS_DOWN, "3/3 brokers are down")


def test_an_outage_is_told_once_when_it_begins_and_again_only_after_it_ended(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log = OutageLog(topic="t")
    for _ in range(50):
        log.failed(_AWAY)
    assert capsys.readouterr().err.count("kafka_unreachable") == 1
    assert log.away
    log.answered()
    assert not log.away
    log.failed(_AWAY)
    assert capsys.readouterr().err.count("kafka_unreachable") == 1


def test_other_errors_are_told_as_they_come(capsys: pytest.CaptureFixture[str]) -> None:
    log = OutageLog(topic="t")
    for _ in range(2):
        log.failed(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))
    assert capsys.readouterr().err.count("TOPIC_AUTHORIZATION_FAILED") == 2
    assert not log.away
