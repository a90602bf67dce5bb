"""Which servers a configuration asks for, and whether Kafka is Apache's or its stand-in."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from flywheel_local import kafka
from flywheel_local.configuration import ARTIFACT_BUCKET, LAKE_BUCKET, Configuration
from flywheel_local.kafka import Kafka
from flywheel_local.mlflow import MLflow
from flywheel_local.s3 import S3
from flywheel_local.server import Server
from flywheel_local.tansu import Tansu

SERVER_NAMES = ("kafka", "s3", "mlflow")


def servers(configuration: Configuration, jars: Path, say: Callable[[str], None]) -> list[Server]:
    """The servers that the stack runs itself, in the order in which others need them."""
    found: list[Server] = []
    if "kafka" in configuration.embedded:
        found.append(broker(configuration, jars, say))
    if "s3" in configuration.embedded:
        found.append(_s3(configuration))
    if "mlflow" in configuration.embedded:
        found.append(MLflow(configuration.home, configuration.ports.mlflow_port, f"s3://{ARTIFACT_BUCKET}"))
    return found


def broker(configuration: Configuration, jars: Path, say: Callable[[str], None]) -> Kafka | Tansu:
    """Apache Kafka where it can run (its jars are fetched if need be), else Tansu and a line that says why."""
    port = configuration.ports.kafka_port
    reason = kafka.obtain(jars, say)
    if reason is not None:
        say(f"kafka: Tansu stands in for Apache Kafka, and forgets its topics when it stops: {reason}")
        return Tansu(port)
    return Kafka(configuration.home, port, partial(configuration.inner_ports, "kafka"), jars)


def _s3(configuration: Configuration) -> S3:
    values = configuration.environment()
    return S3(
        home=configuration.home,
        port=configuration.ports.s3_port,
        inner_ports=partial(configuration.inner_ports, "s3"),
        access_key=values["AWS_ACCESS_KEY_ID"],
        secret_key=values["AWS_SECRET_ACCESS_KEY"],
        buckets=(LAKE_BUCKET, ARTIFACT_BUCKET),
    )
