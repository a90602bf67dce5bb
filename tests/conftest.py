"""Real servers for tests: one Kafka, S3 and MLflow, and one whole stack, each started once, when first asked for."""

import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from flywheel_local import env_file
from flywheel_local.stack import Stack
from flywheel_local.topics import ensure_topics


@dataclass(frozen=True)
class Servers:
    """Where the session's servers are; `env` is what a service or client needs to use them."""

    env: dict[str, str]

    @property
    def kafka(self) -> str:
        return self.env["KAFKA_BOOTSTRAP_SERVERS"]

    @property
    def s3_endpoint(self) -> str:
        return self.env["S3_ENDPOINT_URL"]

    @property
    def mlflow_uri(self) -> str:
        return self.env["MLFLOW_TRACKING_URI"]


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Servers with every topic; FLYWHEEL_TEST_STACK (a file such as `.flywheel/env`) names running ones instead."""
    if running := os.environ.get("FLYWHEEL_TEST_STACK"):
        env = env_file.read(Path(running))
        ensure_topics(env)
        yield Servers(env)
        return
    with Stack(tmp_path_factory.mktemp("stack")).while_in_use() as owned:
        owned.start_servers()
        yield Servers(owned.env)


@dataclass(frozen=True)
class RunningStack:
    """`command_env` is what a person's shell holds who works with this stack."""

    stack: Stack

    @property
    def command_env(self) -> dict[str, str]:
        return {**os.environ, "FLYWHEEL_HOME": str(self.stack.home)}


@pytest.fixture(scope="session")
def running_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """Servers and every service, as `make up` starts them, for all tests that say so, one after the other."""
    with Stack(tmp_path_factory.mktemp("whole")).while_in_use() as stack:
        stack.start()
        yield RunningStack(stack)


@pytest.fixture
def fresh_env(stack: Servers) -> dict[str, str]:
    """The session's servers with a lake of the test's own."""
    return {**stack.env, "LAKE_URI": f"s3://flywheel/test-{uuid.uuid4().hex}"}
