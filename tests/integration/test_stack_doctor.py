"""`flywheel doctor` tells a healthy server from one that is away or in another shape."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, NewPartitions

from flywheel_local.stack import Stack
from tests.waiting import until

SERVERS = ("kafka", "topics", "s3", "lake", "mlflow")


def examine(env: dict[str, str], tmp_path: Path) -> tuple[int, dict[str, dict[str, str]]]:
    """Exit code, and the findings by name."""
    command = [sys.executable, "-m", "flywheel_cli", "doctor", "--json"]
    outcome = subprocess.run(
        command, env={**env, "FLYWHEEL_HOME": str(tmp_path)}, capture_output=True, text=True, timeout=60, check=False
    )
    return outcome.returncode, {finding["name"]: finding for finding in json.loads(outcome.stdout)}


def test_servers_that_answer_are_ok_and_services_that_do_not_run_are_wrong(fresh_env, tmp_path):
    away = {"INGEST_URL": "http://127.0.0.1:9"}
    code, findings = examine({**fresh_env, **away}, tmp_path)
    assert {findings[name]["state"] for name in SERVERS} == {"ok"}
    assert (code, findings["ingest"]["state"]) == (1, "wrong")


@pytest.mark.parametrize(
    ("variable", "elsewhere", "name"),
    [
        ("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9", "kafka"),
        ("S3_ENDPOINT_URL", "http://127.0.0.1:9", "s3"),
        ("AWS_SECRET_ACCESS_KEY", "not-the-secret", "s3"),
        ("MLFLOW_TRACKING_URI", "http://127.0.0.1:9", "mlflow"),
        ("KAFKA_PARTITIONS", "7", "topics"),
        ("KAFKA_PARTITIONS", "many", "kafka"),
    ],
)
def test_what_is_wrong_is_named_with_the_variable_to_look_at(fresh_env, tmp_path, variable, elsewhere, name):
    code, findings = examine({**fresh_env, variable: elsewhere}, tmp_path)
    assert (code, findings[name]["state"]) == (1, "wrong")
    said = findings[name]["detail"] + findings[name]["remedy"]
    assert variable in said or variable.removeprefix("KAFKA_").lower() in said


def test_a_topic_that_grew_is_wrong(tmp_path):
    given = {"S3_ENDPOINT_URL": "http://127.0.0.1:9", "MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}
    with Stack(tmp_path, given=given).while_in_use() as own:
        own.start_servers()
        admin = AdminClient({"bootstrap.servers": own.env["KAFKA_BOOTSTRAP_SERVERS"]})
        admin.create_partitions([NewPartitions("predictions", 8)])["predictions"].result(30)
        until(lambda: len(admin.list_topics("predictions").topics["predictions"].partitions) == 8)
        _, findings = examine(own.env, tmp_path)
        assert findings["topics"]["state"] == "wrong"
        assert "predictions has 8" in findings["topics"]["detail"]
