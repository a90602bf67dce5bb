"""A Kafka for one test alone, for what the others must not meet: its death, or the loss of its data."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flywheel_local.stack import Stack


@contextmanager
def own_kafka(servers: Any, home: Path) -> Iterator[Stack]:
    """A stack whose Kafka is its own, and whose S3 and MLflow are the session's (`servers`)."""
    given = {name: servers.env[name] for name in ("S3_ENDPOINT_URL", "MLFLOW_TRACKING_URI")}
    given |= {name: value for name, value in servers.env.items() if name.startswith("AWS_")}
    with Stack(home, given=given).while_in_use() as owned:
        owned.start_servers()
        yield owned
