"""Another reader's view of what is where: Polars on the Delta log's live files, and Kafka itself."""

import json
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import boto3
import polars as pl

from flywheel_schemas.topics import FEEDBACK_DEAD_LETTER
from kafka_runtime import cloud_events, tail
from kafka_runtime.settings import KafkaSettings
from tests.http import http

READER_GROUP = "flywheel-stream-processor-reader"
Env = Mapping[str, str]


def kafka(env: Env) -> KafkaSettings:
    """The stack's broker."""
    return KafkaSettings(bootstrap_servers=env["KAFKA_BOOTSTRAP_SERVERS"])


def rows_by_id(env: Env, model: str, table: str, column: str) -> Counter[str]:
    """How many rows of a table each id has; nothing where the table was never made."""
    uri = f"{env['LAKE_URI']}/{model}/{table}"
    if not _has_log(env, uri):
        return Counter()
    counted = pl.scan_delta(uri, storage_options=storage(env)).group_by(column).len().collect()
    return Counter(dict(counted.iter_rows()))


def rows_that_were_erased(env: Env, model: str, table: str) -> Counter[str]:
    """Event ids of rows that are still there although their user asked to be forgotten after they came."""
    uri, found = f"{env['LAKE_URI']}/{model}/{table}", Counter[str]()
    for user_hash, erased_before in _erased(env):
        of_the_user = (pl.col("user_hash") == user_hash) & (pl.col("received_at") <= erased_before)
        rows = pl.scan_delta(uri, storage_options=storage(env)).filter(of_the_user).select("event_id").collect()
        found.update(rows["event_id"])
    return found


def _erased(env: Env) -> list[tuple[str, datetime]]:
    """Each user's hash, and up to when what came from them is erased."""
    bodies = objects(env, "_flywheel/tombstones/")
    return [(key.split("/")[-2], datetime.fromisoformat(body["erased_before"])) for key, body in bodies.items()]


def dead_letters_by_key(env: Env, topic: str) -> Counter[str]:
    """How many dead letters each key has, of those that came from `topic`."""
    return Counter(
        record.key.decode("utf-8", "replace")
        for record in everything_in(env, FEEDBACK_DEAD_LETTER.name)
        if cloud_events.header(record.headers, "dlq_topic") == topic
    )


def keys_in(env: Env, topic: str) -> set[str]:
    """Every key that a topic holds."""
    return {record.key.decode("utf-8", "replace") for record in everything_in(env, topic)}


def everything_in(env: Env, topic: str) -> list[Any]:
    """Every record of a topic as it is now."""
    settings = kafka(env)
    partitions = tail.end_offsets(settings, topic)
    return [record for p in partitions for record in tail.records_from(settings, topic, p, 0, timeout_s=60)]


def committed(env: Env, topic: str) -> dict[int, int]:
    """How far the stream processor has settled each partition."""
    return tail.committed_offsets(kafka(env), READER_GROUP, topic)


def ends(env: Env, topic: str) -> dict[int, int]:
    """Where each partition ends now; empty ones are left out."""
    return {p: end for p, end in tail.end_offsets(kafka(env), topic).items() if end}


def triggers(env: Env, model: str) -> set[str]:
    """The ids of all triggers that the lake's log holds."""
    bodies = objects(env, f"{model}/_flywheel/triggers/").values()
    return {str(body["trigger"]["trigger_id"]) for body in bodies}


def objects(env: Env, below: str) -> dict[str, Any]:
    """What the JSON objects of a folder of the lake say, by key."""
    bucket, _, prefix = f"{env['LAKE_URI']}/{below}".removeprefix("s3://").partition("/")
    client = s3(env)
    listed = client.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
    keys = [entry["Key"] for entry in listed]
    return {key: json.loads(client.get_object(Bucket=bucket, Key=key)["Body"].read()) for key in keys}


def outcomes_by_trigger(env: Env, model: str) -> Counter[str]:
    """How many finished trainings MLflow has for each trigger."""
    tags = [_tags(run["data"]) for run in _runs(env, model)]
    return Counter(t["flywheel.trigger_id"] for t in tags if t.get("flywheel.trigger_id") and t.get("flywheel.outcome"))


def versions_by_trigger(env: Env, model: str) -> Counter[str]:
    """How many versions the registry has for each trigger."""
    query = {"filter": f"name='{model}'", "max_results": "1000"}
    found = http.get(f"{_mlflow(env)}/model-versions/search", params=query, timeout=20).raise_for_status().json()
    tags = [_tags(version) for version in found.get("model_versions", [])]
    return Counter(t["flywheel.trigger_id"] for t in tags if t.get("flywheel.trigger_id"))


def trains_now(env: Env, model: str) -> bool:
    """Whether a training has begun for a trigger and not ended."""
    tags = [_tags(run["data"]) for run in _runs(env, model) if run["info"]["status"] == "RUNNING"]
    return any(t.get("flywheel.trigger_id") and not t.get("flywheel.outcome") for t in tags)


def _runs(env: Env, model: str) -> list[Any]:
    named = http.get(f"{_mlflow(env)}/experiments/get-by-name", params={"experiment_name": model}, timeout=20)
    experiment = named.raise_for_status().json()["experiment"]["experiment_id"]
    body = {"experiment_ids": [experiment], "max_results": 1000}
    found = http.post(f"{_mlflow(env)}/runs/search", json=body, timeout=20).raise_for_status()
    runs: list[Any] = found.json().get("runs", [])
    return runs


def _tags(tagged: Any) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in tagged.get("tags", [])}


def _mlflow(env: Env) -> str:
    return f"{env['MLFLOW_TRACKING_URI']}/api/2.0/mlflow"


def put_spec(env: Env, model: str, text: str) -> None:
    """Store a spec where every service looks for it."""
    bucket, _, prefix = env["LAKE_URI"].removeprefix("s3://").partition("/")
    s3(env).put_object(Bucket=bucket, Key=f"{prefix}/{model}/spec.yaml", Body=text.encode())


def _has_log(env: Env, uri: str) -> bool:
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    listed = s3(env).list_objects_v2(Bucket=bucket, Prefix=f"{prefix}/_delta_log/", MaxKeys=1)
    return bool(listed.get("KeyCount"))


def s3(env: Env) -> Any:
    """A client of the stack's S3."""
    return boto3.client(
        "s3",
        endpoint_url=env["S3_ENDPOINT_URL"],
        aws_access_key_id=env["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
        region_name=env["AWS_REGION"],
    )


def storage(env: Env) -> dict[str, str]:
    """What Polars needs to reach the stack's S3."""
    return {
        "aws_endpoint_url": env["S3_ENDPOINT_URL"],
        "aws_access_key_id": env["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": env["AWS_SECRET_ACCESS_KEY"],
        "aws_region": env["AWS_REGION"],
        "aws_allow_http": "true",
    }
