"""`flywheel events tail` against a real broker."""

import json
import re
import subprocess
import sys
from typing import Any
from uuid import uuid4

import pytest
from typer.testing import CliRunner

from flywheel_cli.commands.events import app
from flywheel_schemas.events import DatasetCommitted
from flywheel_schemas.topics import DATASET_COMMITTED
from kafka_runtime.publisher import Publisher
from kafka_runtime.settings import KafkaSettings


@pytest.fixture
def model(stack: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """A model of the test's own with three dataset-committed events, versions 1 to 3."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", stack.kafka)
    name = f"m{uuid4().hex[:12]}"
    publisher = Publisher(KafkaSettings(), source="a-test", linger_ms=0)
    for version in (1, 2, 3):
        publisher.publish(DATASET_COMMITTED, name, committed(name, version))
    publisher.close()
    return name


def committed(model: str, version: int) -> DatasetCommitted:
    return DatasetCommitted(
        model=model,
        dataset_version=version,
        topic="feedback-events",
        partition=0,
        first_offset=0,
        last_offset=9,
        rows=10,
        duplicates=0,
        quarantined=0,
    )


def tail(*arguments: str) -> list[str]:
    result = CliRunner().invoke(app, ["tail", "dataset-committed", "--no-follow", *arguments])
    assert result.exit_code == 0, result.output
    return result.output.splitlines()


def test_the_events_of_a_model_are_one_line_each_in_order(model: str) -> None:
    lines = tail("--from-beginning", "--model", model)
    assert len(lines) == 3
    for version, line in enumerate(lines, start=1):
        assert re.match(rf"20\d\d-\S+Z  {model}  dataset-committed\.v1  10 rows in version {version}, ", line)


def test_only_the_last_ones_are_shown_when_so_many_are_asked_for(model: str) -> None:
    lines = tail("--model", model, "-n", "2")
    assert [re.search(r"version (\d)", line)[1] for line in lines] == ["2", "3"]  # type: ignore[index]
    assert len(tail("-n", "1")) == 1
    assert tail("-n", "0") == []


def test_each_line_of_json_is_an_object_a_program_can_read(model: str) -> None:
    events = [json.loads(line) for line in tail("--from-beginning", "--model", model, "--json")]
    assert [event["value"]["dataset_version"] for event in events] == [1, 2, 3]
    assert events[0]["headers"]["ce_type"] == "dev.flywheel.dataset-committed.v1"
    assert (events[0]["topic"], events[0]["key"]) == ("dataset-committed", model)


def test_following_shows_what_comes(model: str, stack: Any) -> None:
    code = "from flywheel_cli.commands.events import app; app()"
    command = [sys.executable, "-c", code, "tail", "dataset-committed", "--model", model]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**stack.env, "PATH": "", "PYTHONUNBUFFERED": "1"}) as p:
        assert p.stdout
        try:
            for _ in range(3):
                assert b"10 rows in version" in p.stdout.readline()
            publisher = Publisher(KafkaSettings(), source="a-test", linger_ms=0)
            publisher.publish(DATASET_COMMITTED, model, committed(model, 4))
            assert b"10 rows in version 4," in p.stdout.readline()
        finally:
            p.terminate()


def test_an_unknown_topic_lists_the_known_ones() -> None:
    result = CliRunner().invoke(app, ["tail", "feedback"])
    assert result.exit_code == 2
    assert "There is no topic feedback. The topics are: feedback-events, feedback-dead-letter, " in result.output


def test_without_a_broker_the_error_says_what_to_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9")
    result = CliRunner().invoke(app, ["tail", "predictions", "--no-follow"])
    assert result.exit_code == 1
    assert "check that KAFKA_BOOTSTRAP_SERVERS names a running broker" in result.output
