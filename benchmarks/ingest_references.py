"""What the ingest service is compared with: a bare hello, a plain FastAPI handler, and librdkafka alone.

`python ingest_references.py hello|fastapi PORT` serves; `… produce SECONDS` reads JSON lines of values from stdin,
produces them again and again, and prints how many a second were acknowledged.
"""

import json
import os
import sys
import threading
import time
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from confluent_kafka import Producer
from fastapi import FastAPI, HTTPException
from pydantic import ConfigDict
from starlette.types import Receive, Scope, Send

from flywheel_schemas.events import Feedback, FeedbackRequest
from flywheel_schemas.topics import FEEDBACK_EVENTS
from http_api import server
from kafka_runtime import cloud_events
from kafka_runtime.settings import KafkaSettings


def _producer(linger_ms: float) -> Producer:
    return Producer(
        KafkaSettings().librdkafka()
        | {
            "acks": "all",
            "enable.idempotence": True,
            "partitioner": "murmur2_random",
            "linger.ms": linger_ms,
            "delivery.timeout.ms": 10_000,
        }
    )


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    """The least that an ASGI application can do, with an answer as long as the ingest service's."""
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    headers = [(b"content-type", b"application/json"), (b"content-length", b"148")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"x" * 148})


class Request(FeedbackRequest):
    """The contract, as FastAPI can read it: it parses the JSON first, so a time or a UUID arrives as text."""

    model_config = ConfigDict(strict=False)


def fastapi() -> FastAPI:
    """The handler that one writes first: a model parameter, a produce, and a wait for its delivery."""
    app = FastAPI()
    producer = _producer(linger_ms=1)

    def poll() -> None:
        while True:
            producer.poll(0.1)

    threading.Thread(target=poll, daemon=True).start()

    @app.post("/v1/feedback", status_code=202)
    def handler(event: Request) -> dict[str, str]:
        now = datetime.now(UTC)
        fields = event.model_dump(exclude={"event_id", "occurred_at"}, exclude_none=True)
        event_id = event.event_id or uuid4()
        feedback = Feedback(**fields, event_id=event_id, occurred_at=event.occurred_at or now, received_at=now)
        delivered, errors = threading.Event(), []

        def on_delivery(error: Any, _: Any) -> None:
            errors.append(error)
            delivered.set()

        headers = cloud_events.headers(FEEDBACK_EVENTS, str(event_id), "/bench", now, None)
        producer.produce(
            FEEDBACK_EVENTS.name, feedback.encode(), str(event_id), headers=headers, on_delivery=on_delivery
        )
        if not delivered.wait(10) or errors[0] is not None:
            raise HTTPException(503)
        return {"event_id": str(event_id), "status": "accepted", "message": "Thank you."}

    return app


def produce(seconds: float) -> float:
    """Records a second that librdkafka gets acknowledged, with the same values, keys and headers."""
    records = []
    for line in sys.stdin:
        event_id = json.loads(line)["event_id"]
        traceparent = f"00-{uuid4().hex}-{uuid4().hex[:16]}-00"
        headers = cloud_events.headers(FEEDBACK_EVENTS, event_id, "/bench", datetime.now(UTC), traceparent)
        records.append((event_id.encode(), line.strip().encode(), headers))
    producer = _producer(linger_ms=5)
    begun, count = time.perf_counter(), 0
    while time.perf_counter() - begun < seconds:
        for key, value, headers in records:
            while True:
                try:
                    producer.produce(FEEDBACK_EVENTS.name, value, key, headers=headers)
                except BufferError:
                    producer.poll(0.01)
                else:
                    break
        count += len(records)
        producer.poll(0)
    producer.flush(30)
    return count / (time.perf_counter() - begun)


if __name__ == "__main__":
    what, figure = sys.argv[1:]
    os.environ.setdefault("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9092")
    if what == "produce":
        print(produce(float(figure)))
    else:
        server.run(hello if what == "hello" else fastapi(), "127.0.0.1", int(figure))
