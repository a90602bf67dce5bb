"""The servers that other tests rely on do what a client expects of them."""

import boto3
from confluent_kafka.admin import AdminClient

from flywheel_schemas.topics import ALL_TOPICS
from tests.http import http


def test_every_topic_is_there(stack):
    topics = AdminClient({"bootstrap.servers": stack.kafka}).list_topics(timeout=10).topics
    assert {topic.name for topic in ALL_TOPICS} <= topics.keys()


def test_the_lake_can_be_written_with_the_keys_of_the_environment(stack, fresh_env):
    client = boto3.client(
        "s3",
        endpoint_url=stack.s3_endpoint,
        aws_access_key_id=fresh_env["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=fresh_env["AWS_SECRET_ACCESS_KEY"],
        region_name=fresh_env["AWS_REGION"],
    )
    bucket, _, prefix = fresh_env["LAKE_URI"].removeprefix("s3://").partition("/")
    client.put_object(Bucket=bucket, Key=f"{prefix}/word", Body=b"kept")
    assert client.get_object(Bucket=bucket, Key=f"{prefix}/word")["Body"].read() == b"kept"


def test_artifacts_of_new_experiments_lie_on_s3_where_they_are_read_without_mlflow(stack):
    answer = http.get(
        f"{stack.mlflow_uri}/api/2.0/mlflow/experiments/get-by-name", params={"experiment_name": "Default"}
    )
    assert answer.json()["experiment"]["artifact_location"].startswith("s3://")
