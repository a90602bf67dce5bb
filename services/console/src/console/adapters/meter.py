"""The services' counters, looked at every two seconds and remembered for some minutes."""

import asyncio
import time
from collections import deque
from collections.abc import Mapping, Sequence

import httpx

from console.domain.rates import Sample, total

EVERY_S = 2.0
_KEPT = 150
# What is counted: the service that counts it, the metric, and labels that its series must carry.
COUNTERS: Mapping[str, tuple[str, str, str]] = {
    "predictions": ("inference", "flywheel_inference_predictions_total", ""),
    "feedback accepted": ("ingest", "flywheel_ingest_events_accepted_total", ""),
    "feedback stored": ("stream-processor", "flywheel_processor_events_total", 'outcome="stored",topic="feedback'),
}


class ScrapedMeter:
    """Reads /metrics of each service, as Prometheus does."""

    def __init__(self, client: httpx.AsyncClient, urls: Mapping[str, str]) -> None:
        self._client = client
        self._urls = urls
        self._samples: deque[Sample] = deque(maxlen=_KEPT)

    def samples(self) -> Sequence[Sample]:
        """Oldest first."""
        return list(self._samples)

    async def run(self) -> None:
        """Looks again and again. Never returns; cancel it."""
        while True:
            await self.look()
            await asyncio.sleep(EVERY_S)

    async def look(self) -> None:
        """Takes one sample; a service that does not answer is left out of it."""
        services = list({service for service, _, _ in COUNTERS.values()})
        texts = dict(zip(services, await asyncio.gather(*map(self._read, services)), strict=True))
        found = {name: total(texts[service], metric, label) for name, (service, metric, label) in COUNTERS.items()}
        self._samples.append(Sample(time.time(), {name: value for name, value in found.items() if value is not None}))

    async def _read(self, service: str) -> str:
        try:
            return (await self._client.get(f"{self._urls[service]}/metrics")).text
        except httpx.HTTPError:
            return ""
