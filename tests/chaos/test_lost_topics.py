"""Kafka has lost its topics, and events came in before anybody saw it: `flywheel topics resume`, on its own broker."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient

from flywheel_schemas.topics import FEEDBACK_EVENTS, PREDICTIONS
from kafka_runtime import tail, topics
from tests.integration.processor_bench import Bench
from tests.own_kafka import own_kafka
from tests.waiting import until

pytestmark = pytest.mark.chaos


@pytest.fixture
def bench(fresh_env: dict[str, str], stack: Any, tmp_path: Path) -> Iterator[Bench]:
    with own_kafka(stack, tmp_path) as owned:
        made = Bench({**owned.env, "LAKE_URI": fresh_env["LAKE_URI"]}, tmp_path)
        yield made
        made.end()


def test_topics_that_were_made_anew_go_on_where_the_lake_is_and_nothing_is_lost_or_doubled(bench: Bench) -> None:
    first = bench.start()
    bench.send(300)
    bench.end_with_poison()
    until(bench.complete)
    until(bench.acknowledged)
    first.terminate()
    assert first.wait(60) == 0
    held = tail.end_offsets(bench.kafka, FEEDBACK_EVENTS)
    letters = bench.dead_letters()

    _lose_topics(bench)
    bench.send(40)
    bench.end_with_poison()
    stopped = bench.start()
    assert stopped.wait(60) == 1
    assert "flywheel topics resume" in (bench.home / "worker-1.log").read_text()
    assert "WRONG  offsets" in _flywheel(bench, "doctor", code=1)
    assert "feedback-events" in _flywheel(bench, "topics", "resume", "--preview")
    _flywheel(bench, "topics", "resume")

    resumed = bench.start()
    bench.send(60)
    until(lambda: bench.ids("feedback") == Counter(event["event_id"] for event in bench.sent))
    until(bench.acknowledged)
    assert bench.ids("quarantine") == Counter(bench.misfits)
    assert len(bench.dead_letters()) == bench.poison
    assert set(bench.dead_letters().values()) == {1}
    assert letters < bench.dead_letters()
    assert resumed.poll() is None
    now = tail.end_offsets(bench.kafka, FEEDBACK_EVENTS)
    assert all(now[partition] > end for partition, end in held.items())
    assert "There is nothing to do" in _flywheel(bench, "topics", "resume")


def _lose_topics(bench: Bench) -> None:
    """As after a loss of Kafka's disks: the topics are there again, and hold nothing."""
    admin = AdminClient(bench.kafka.librdkafka())
    for gone in admin.delete_topics([FEEDBACK_EVENTS.name, PREDICTIONS.name], operation_timeout=30).values():
        gone.result()
    until(lambda: FEEDBACK_EVENTS.name not in admin.list_topics(timeout=10).topics)
    topics.ensure(bench.kafka)
    assert set(tail.end_offsets(bench.kafka, FEEDBACK_EVENTS).values()) == {0}


def _flywheel(bench: Bench, *command: str, code: int = 0) -> str:
    arguments = [sys.executable, "-m", "flywheel_cli", *command]
    env = {**os.environ, **bench.env}
    done = subprocess.run(arguments, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr
