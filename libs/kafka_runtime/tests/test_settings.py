import pytest
from pydantic import ValidationError

from kafka_runtime.settings import KafkaSettings


def test_the_environment_says_where_kafka_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "a:1,b:2")
    monkeypatch.setenv("KAFKA_PARTITIONS", "12")
    settings = KafkaSettings()
    assert settings.librdkafka()["bootstrap.servers"] == settings.aiokafka()["bootstrap_servers"] == "a:1,b:2"
    assert (settings.partitions, settings.partitions_control) == (12, 3)


def test_half_a_login_is_refused_and_the_missing_variables_are_named() -> None:
    with pytest.raises(ValidationError, match="set KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD too"):
        KafkaSettings(security_protocol="SASL_SSL", sasl_mechanism="PLAIN")


def test_a_login_reaches_both_clients_and_no_printout() -> None:
    settings = KafkaSettings(
        security_protocol="SASL_SSL", sasl_mechanism="SCRAM-SHA-512", sasl_username="me", sasl_password="hunter2"
    )
    assert settings.librdkafka()["sasl.password"] == "hunter2"
    assert settings.aiokafka()["sasl_plain_password"] == "hunter2"
    assert settings.aiokafka()["ssl_context"] is not None
    assert "hunter2" not in repr(settings)


@pytest.mark.parametrize("name", ["partitions", "partitions_control"])
def test_a_topic_has_at_least_one_partition(name: str) -> None:
    with pytest.raises(ValidationError):
        KafkaSettings(**{name: 0})
