"""`python -m kafka_runtime` makes the topics that are missing.

Exit code 0 when all are there, 1 when not, 2 for wrong settings.
"""

import sys

from pydantic import ValidationError

from flywheel_schemas.topics import ALL_TOPICS
from kafka_runtime import topics
from kafka_runtime.errors import KafkaRuntimeError
from kafka_runtime.settings import KafkaSettings
from telemetry import logging

log = logging.get(__name__)


def main() -> int:
    """Safe to run again, and beside services that start."""
    logging.configure("topics")
    try:
        topics.ensure(KafkaSettings())
    except ValidationError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - a line for whoever started the process
        return 2
    except KafkaRuntimeError as error:
        log.error("topics_not_made", reason=str(error))
        return 1
    log.info("topics_are_there", topics=[topic.name for topic in ALL_TOPICS])
    return 0


if __name__ == "__main__":
    sys.exit(main())
