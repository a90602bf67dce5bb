"""Bounded load from several sides at once, each send noted in a ledger."""

import json
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import httpx
from confluent_kafka import KafkaException, Producer

from tests.chaos import traffic
from tests.chaos.ledger import Ledger
from tests.http import http

_RESEND = 0.1
_PAUSE_AFTER_FAILURE_S = 0.2


@dataclass(frozen=True, slots=True)
class Rates:
    """How much is sent each second."""

    singles: float = 40.0
    batches: float = 3.0
    batch_size: int = 60
    poison: float = 8.0
    predictions: float = 60.0
    asked: float = 20.0


@dataclass(frozen=True, slots=True)
class Ledgers:
    """The accounts: feedback through ingest, records straight into the topic, predictions."""

    feedback: Ledger = field(default_factory=Ledger)
    poison: Ledger = field(default_factory=Ledger)
    predictions: Ledger = field(default_factory=Ledger)


class Load:
    """Threads that send until `stop`; can be started again. Ids never repeat, but for duplicates sent on purpose.

    With `ask_inference` predictions are asked for over HTTP too, and some answered with feedback by their token.
    """

    def __init__(self, env: Mapping[str, str], ledgers: Ledgers, seed: int, rates: Rates, ask_inference: bool) -> None:
        self._env = env
        self._ledgers = ledgers
        self._seed = seed
        self._rates = rates
        self._ask_inference = ask_inference
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._starts = 0
        self.failures: list[BaseException] = []
        self.answers = 0
        self.answers_failed = 0

    def start(self) -> None:
        """Begin to send."""
        self._stopping.clear()
        self._starts += 1
        sides: list[tuple[Callable[[random.Random], None], float]] = [
            (self._single, self._rates.singles),
            (self._batch, self._rates.batches),
        ]
        work = [self._paced(side, rate, n) for n, (side, rate) in enumerate(sides)]
        work.append(lambda: self._straight_in(random.Random(f"{self._seed}-straight-{self._starts}")))
        if self._ask_inference:
            work.append(self._paced(self._asked, self._rates.asked, 9))
        self._threads = [threading.Thread(target=self._guarded, args=(side,), daemon=True) for side in work]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Send no more, and wait for the answers to what was sent. Raises what broke a sender."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(60)
        if self.failures:
            raise self.failures[0]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _guarded(self, side: Callable[[], None]) -> None:
        try:
            side()
        except Exception as exc:
            self.failures.append(exc)

    def _paced(self, side: Callable[[random.Random], None], rate: float, n: int) -> Callable[[], None]:
        rng = random.Random(f"{self._seed}-{n}-{self._starts}")

        def run() -> None:
            due = time.monotonic()
            while not self._stopping.wait(max(0.0, due - time.monotonic())):
                side(rng)
                # After an outage the load goes on at its pace; it does not catch up.
                due = max(due + 1.0 / rate, time.monotonic() - 1.0)

        return run

    # feedback over HTTP

    def _single(self, rng: random.Random) -> None:
        [body] = self._bodies(rng, 1)
        self._post("/v1/feedback", body, [body["event_id"]])

    def _batch(self, rng: random.Random) -> None:
        bodies = self._bodies(rng, self._rates.batch_size)
        self._post("/v1/feedback/batch", bodies, [body["event_id"] for body in bodies])

    def _bodies(self, rng: random.Random, count: int) -> list[dict[str, Any]]:
        """New feedback, and again some of any time before: the same id, with another body."""
        ids: list[str] = []
        for _ in range(count):
            again = self._ledgers.feedback.earlier(rng) if rng.random() < _RESEND else None
            ids.append(again or traffic.new_id(rng))
        return [traffic.feedback(rng, event_id) for event_id in ids]

    def _post(self, path: str, body: Any, ids: Sequence[str]) -> None:
        ledger = self._ledgers.feedback
        ledger.about_to_send(*ids)
        try:
            response = http.post(self._env["INGEST_URL"] + path, json=body, timeout=15)
        except httpx.HTTPError:
            self._stopping.wait(_PAUSE_AFTER_FAILURE_S)
            return
        if response.status_code in (429, 503):
            self._stopping.wait(_PAUSE_AFTER_FAILURE_S)
        elif response.status_code == 202:
            ledger.acknowledge(*ids)
        elif response.status_code == 207:
            for item in response.json()["items"]:
                (ledger.acknowledge if item["status"] == "accepted" else ledger.refuse)(ids[item["index"]])
        else:
            raise AssertionError(f"{path} answered {response.status_code}: {response.text[:500]}")

    # records straight into Kafka

    def _straight_in(self, rng: random.Random) -> None:
        producer = Producer(
            {
                "bootstrap.servers": self._env["KAFKA_BOOTSTRAP_SERVERS"],
                "acks": "all",
                "enable.idempotence": True,
                "partitioner": "murmur2_random",
                "log_level": 2,
                "reconnect.backoff.max.ms": 1000,
            }
        )
        share = self._rates.poison / (self._rates.poison + self._rates.predictions)
        pause_s = 1.0 / (self._rates.poison + self._rates.predictions)
        while not self._stopping.wait(pause_s):
            if rng.random() < share:
                key = traffic.new_id(rng)
                self._produce(producer, "feedback-events", key, traffic.poison(rng, key), self._ledgers.poison)
            else:
                again = self._ledgers.predictions.earlier(rng) if rng.random() < _RESEND else None
                key = again or traffic.new_id(rng)
                self._produce(producer, "predictions", key, traffic.prediction(rng, key), self._ledgers.predictions)
            producer.poll(0)
        producer.flush(120)

    def _produce(self, producer: Producer, topic: str, key: str, value: bytes, ledger: Ledger) -> None:
        def delivered(error: Any, _: Any) -> None:
            if error is None:
                ledger.acknowledge(key)

        ledger.about_to_send(key)
        try:
            producer.produce(topic, value=value, key=key.encode(), on_delivery=delivered)
        except (BufferError, KafkaException):
            self._stopping.wait(_PAUSE_AFTER_FAILURE_S)

    # predictions asked of inference, and feedback by their token

    def _asked(self, rng: random.Random) -> None:
        url = f"{self._env['INFERENCE_URL']}/v1/models/{traffic.MODEL}/predict"
        try:
            response = http.post(url, json={"instances": [traffic.features(rng) for _ in range(3)]}, timeout=15)
        except httpx.HTTPError:
            self.answers_failed += 1
            self._stopping.wait(_PAUSE_AFTER_FAILURE_S)
            return
        if response.status_code != 200:
            self.answers_failed += 1
            self._stopping.wait(_PAUSE_AFTER_FAILURE_S)
            return
        self.answers += 1
        answer = json.loads(response.content)["predictions"][0]
        if rng.random() < 0.3:
            event_id = traffic.new_id(rng)
            word = {"event_id": event_id, "kind": "confirmation", "feedback_token": answer["feedback_token"]}
            self._post("/v1/feedback", word, [event_id])
