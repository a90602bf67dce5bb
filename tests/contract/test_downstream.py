"""The downstream example, run as it stands by somebody who has Kafka's address and none of Flywheel's code."""

import json
import os
import subprocess
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flywheel_schemas.events import ChallengerState, ModelAction, ModelUpdated
from flywheel_schemas.topics import MODEL_UPDATED
from kafka_runtime.publisher import Publisher
from kafka_runtime.settings import KafkaSettings

CONSUMER = Path(__file__).parents[2] / "examples/downstream/consumer.py"


def event(model: str, version: str, action: ModelAction, sequence: int, **more: Any) -> ModelUpdated:
    return ModelUpdated(
        model=model,
        model_version=version,
        action=action,
        traffic_percent=100.0,
        run_id="run",
        training_set_hash="hash",
        artifact_uri=f"s3://m/{version}",
        artifact_sha256=version * 64,
        occurred_at=datetime.now(UTC),
        sequence=sequence,
        **more,
    )


def test_who_comes_late_knows_champion_and_challenger_of_every_model_and_passes_over_older_news(stack: Any) -> None:
    serving, trying = (f"d-{uuid.uuid4().hex[:12]}" for _ in range(2))
    publisher = Publisher(KafkaSettings(bootstrap_servers=stack.kafka), "/test")
    told = [
        event(serving, "1", ModelAction.PROMOTED, 0, champion="1"),
        event(serving, "2", ModelAction.PROMOTED, 2, champion="2"),
        event(serving, "1", ModelAction.PROMOTED, 1, champion="1"),
        event(
            trying,
            "5",
            ModelAction.CANARY,
            7,
            champion="4",
            champion_artifact_uri="s3://m/4",
            champion_artifact_sha256="4" * 64,
            challenger="5",
            challenger_state=ChallengerState.CANARY,
            challenger_traffic_percent=25.0,
            challenger_artifact_uri="s3://m/5",
            challenger_artifact_sha256="5" * 64,
        ),
    ]
    for each in told:
        publisher.publish(MODEL_UPDATED, each.model, each)
    env = {"KAFKA_BOOTSTRAP_SERVERS": stack.kafka, "PATH": os.environ["PATH"]}
    command = [sys.executable, str(CONSUMER), "--once"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=env, check=False)
    assert done.returncode == 0, done.stderr
    shown = {found["model"]: found for found in map(json.loads, done.stdout.splitlines())}
    assert (shown[serving]["champion"], shown[serving]["artifact_uri"]) == ("2", "s3://m/2")
    assert shown[serving]["challenger"] is None
    assert (shown[trying]["champion"], shown[trying]["artifact_sha256"]) == ("4", "4" * 64)
    challenger = shown[trying]["challenger"]
    assert (challenger["version"], challenger["traffic_percent"]) == ("5", 25.0)
    assert challenger["artifact_uri"] == "s3://m/5"


def test_the_example_imports_nothing_of_ours() -> None:
    imported = [
        line for line in CONSUMER.read_text(encoding="utf-8").splitlines() if line.startswith(("import", "from"))
    ]
    assert not [line for line in imported if "flywheel" in line or "kafka_runtime" in line]
