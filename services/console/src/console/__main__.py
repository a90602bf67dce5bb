"""`python -m console` serves the console on CONSOLE_PORT."""

import sys

from pydantic import ValidationError

from console.settings import ConsoleSettings
from console.wiring import build
from http_api import keys, server
from kafka_runtime.settings import KafkaSettings
from lake.settings import LakeSettings
from telemetry import logging, tracing


def main() -> None:
    """Serves until SIGTERM or SIGINT; a wrong setting ends with code 2 and a line that names it."""
    logging.configure("console")
    try:
        settings, kafka, lake = ConsoleSettings(), KafkaSettings(), LakeSettings()
    except ValidationError as error:
        wrong = "; ".join(f"{each['loc'][0]}: {each['msg']}" for each in error.errors())
        print(f"error: {wrong}", file=sys.stderr)  # noqa: T201 - a line for whoever started the process
        sys.exit(2)
    tracing.configure("console", settings.otlp_endpoint)
    app = build(settings, kafka, lake)
    server.run(app, keys.bind_host(settings.api_keys_file), settings.port, port_variable="CONSOLE_PORT")


if __name__ == "__main__":
    main()
