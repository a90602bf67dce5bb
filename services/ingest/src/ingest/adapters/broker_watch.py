"""Whether Kafka can be written to, as far as is known: known outages are answered at once, not after a time-out."""

import asyncio
from collections.abc import Callable

from kafka_runtime.errors import BrokerUnavailable, KafkaRuntimeError
from telemetry import logging

_PROBE_EVERY_S = 0.5
log = logging.get(__name__)


class BrokerWatch:
    """Knows `trouble` (why Kafka cannot be written to) or None. Begins in trouble, until `probe` succeeds once.

    `probe` blocks for seconds at most, raises KafkaRuntimeError while Kafka does not serve, and makes the
    topics, so that nothing is written before they exist with the right partition count.
    """

    def __init__(self, probe: Callable[[], None]) -> None:
        self.trouble: str | None = (
            "Kafka has not answered yet; check that KAFKA_BOOTSTRAP_SERVERS names a running broker"
        )
        self._probe = probe
        self._broken = asyncio.Event()
        self._broken.set()

    def failed(self, reason: str) -> None:
        """A delivery failed: be in trouble until Kafka answers a probe."""
        if self.trouble is None:
            self.trouble = reason
            log.warning("kafka_away", reason=reason)
        self._broken.set()

    async def run(self) -> None:
        """Probe for as long as there is trouble. Never returns; cancel it."""
        while True:
            await self._broken.wait()
            try:
                await asyncio.to_thread(self._probe)
            except KafkaRuntimeError as error:
                self._tell(error)
                await asyncio.sleep(_PROBE_EVERY_S)
            else:
                self._broken.clear()
                self.trouble = None
                log.info("kafka_serves")

    def _tell(self, error: KafkaRuntimeError) -> None:
        reason = str(error)
        if reason != self.trouble and not isinstance(error, BrokerUnavailable):
            log.error("kafka_unusable", reason=reason)
        self.trouble = reason
