"""Which version of each model serves, as a service without Flywheel's code learns it: see the README beside this."""

import argparse
import json
import os
import sys
from collections.abc import Iterator
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

TOPIC = "model-updated"


class ServedModels:
    """The present state of every model, from the events of `model-updated` in any order and any number of times."""

    def __init__(self) -> None:
        self._events: dict[str, dict[str, Any]] = {}

    def take(self, key: bytes | None, value: bytes | None) -> dict[str, Any] | None:
        """What is new; None where the event is older news."""
        model = (key or b"").decode()
        if value is None:
            return {"model": model, "champion": None} if self._events.pop(model, None) else None
        event = json.loads(value)
        known = self._events.get(model)
        if known is not None and event.get("sequence", 0) <= known.get("sequence", -1):
            return None
        self._events[model] = event
        return state(event)


def state(event: dict[str, Any]) -> dict[str, Any]:
    """Who serves the model, who is on trial beside it, and where their files are."""
    is_about_champion = event.get("champion") == event["model_version"]
    prefix = "" if is_about_champion else "champion_"
    challenger = None
    if event.get("challenger"):
        challenger = {
            "version": event["challenger"],
            "state": event["challenger_state"],
            "traffic_percent": event["challenger_traffic_percent"],
            "artifact_uri": event["challenger_artifact_uri"],
            "artifact_sha256": event["challenger_artifact_sha256"],
        }
    return {
        "model": event["model"],
        "champion": event.get("champion"),
        "artifact_uri": event.get(f"{prefix}artifact_uri"),
        "artifact_sha256": event.get(f"{prefix}artifact_sha256"),
        "challenger": challenger,
        "because": f"version {event['model_version']} {event['action']}: {event.get('reason') or 'no reason given'}",
    }


def messages(servers: str, *, once: bool) -> Iterator[Message]:
    """Every record of the topic from its beginning; with `once`, up to what is there now."""
    settings = {"bootstrap.servers": servers, "group.id": "unused", "enable.auto.commit": False}
    consumer = Consumer({**settings, "enable.partition.eof": True})
    partitions = consumer.list_topics(TOPIC, timeout=10).topics[TOPIC].partitions
    consumer.assign([TopicPartition(TOPIC, number, OFFSET_BEGINNING) for number in partitions])
    unfinished = set(partitions)
    try:
        while unfinished or not once:
            message = consumer.poll(1.0)
            if message is None:
                continue
            error = message.error()
            if error is None:
                yield message
            elif error.code() == KafkaError._PARTITION_EOF:
                unfinished.discard(message.partition())
            elif error.fatal():
                raise KafkaException(error)
    finally:
        consumer.close()


def main() -> None:
    """Prints each change; with --once the present state of every model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--once", action="store_true", help="print the present state of every model, then end")
    once = parser.parse_args().once
    models, present = ServedModels(), {}
    for message in messages(os.environ["KAFKA_BOOTSTRAP_SERVERS"], once=once):
        news = models.take(message.key(), message.value())
        if news is None:
            continue
        present[news["model"]] = news
        if not once:
            print(json.dumps(news), flush=True)
    for news in present.values() if once else ():
        json.dump(news, sys.stdout)
        print()


if __name__ == "__main__":
    main()
