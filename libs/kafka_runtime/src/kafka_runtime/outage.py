"""Saying once that Kafka is away, and once that it is back."""

from typing import Any

from confluent_kafka import KafkaError

from telemetry import logging

_LOG = logging.get("kafka_runtime")
_AWAY = frozenset({KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT, KafkaError._RESOLVE, KafkaError._TIMED_OUT})


class OutageLog:
    """Turns a client's stream of errors into one line when an outage begins and one when it ends."""

    def __init__(self, **fields: str) -> None:
        self._fields = fields
        self.away = False

    def failed(self, error: Any) -> None:
        """An error of the client (a librdkafka `error_cb` fits). Errors of other kinds are logged as they come."""
        if error.code() not in _AWAY:
            _LOG.warning("kafka_client_error", error=error.str(), code=error.name(), **self._fields)
        elif not self.away:
            self.away = True
            _LOG.warning("kafka_unreachable", error=error.str(), **self._fields)

    def answered(self) -> None:
        """The broker answered."""
        if self.away:
            self.away = False
            _LOG.info("kafka_reachable_again", **self._fields)
