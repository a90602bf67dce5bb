"""The CloudEvents project's own SDK reads what our publisher writes."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from cloudevents.core.bindings.kafka import KafkaMessage, from_binary_event

from flywheel_schemas.events import ThresholdReached, TriggerReason
from flywheel_schemas.topics import THRESHOLD_REACHED
from kafka_runtime import tail, topics
from kafka_runtime.partitioner import partition_for
from kafka_runtime.publisher import Publisher
from kafka_runtime.settings import KafkaSettings


def test_a_third_party_reader_understands_our_events(stack: Any) -> None:
    settings = KafkaSettings(bootstrap_servers=stack.kafka)
    model = f"m{uuid4().hex[:12]}"
    event = ThresholdReached(
        trigger_id=uuid4(),
        model=model,
        reason=TriggerReason.COUNT,
        dataset_version=3,
        observed=2001.0,
        threshold=2000.0,
        occurred_at=datetime.now(UTC),
    )
    publisher = Publisher(settings, source="a-test", linger_ms=0)
    publisher.publish(THRESHOLD_REACHED, model, event, event_id=str(event.trigger_id))
    publisher.close()
    partition = partition_for(model.encode(), topics.partition_count(settings, THRESHOLD_REACHED.name))
    [record] = [r for r in tail.last(settings, THRESHOLD_REACHED, partition, 50) if r.key == model.encode()]

    read = from_binary_event(KafkaMessage(headers=dict(record.headers), key=record.key, value=record.value))

    assert read.get_id() == str(event.trigger_id)
    assert read.get_type() == "dev.flywheel.threshold-reached.v1"
    assert read.get_source() == "a-test"
    assert read.get_specversion() == "1.0"
    assert read.get_datacontenttype() == "application/json"
    time = read.get_time()
    assert time is not None
    assert abs(time - datetime.now(UTC)) < timedelta(minutes=1)
    data = read.get_data()
    body = data if isinstance(data, dict) else json.loads(data)  # type: ignore[arg-type]
    assert ThresholdReached.parse(json.dumps(body).encode()) == event
