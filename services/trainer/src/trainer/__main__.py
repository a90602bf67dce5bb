"""`python -m trainer` trains on triggers, and serves the admin API on TRAINER_PORT."""

import sys

from pydantic import ValidationError

from http_api import keys, server
from telemetry import logging, tracing
from trainer.settings import Settings
from trainer.wiring import build


def main() -> None:
    """Serves until SIGTERM or SIGINT; a wrong setting ends with code 2 and a line that names it."""
    try:
        settings = Settings()
        logging.configure("trainer", settings.trainer.log_level)
    except (ValidationError, ValueError) as error:
        print(f"error: {_said(error)}", file=sys.stderr)  # noqa: T201 - a line for whoever started the process
        sys.exit(2)
    tracing.configure("trainer", settings.trainer.otlp_endpoint)
    app = build(settings).app
    host = keys.bind_host(settings.trainer.api_keys_file)
    server.run(app, host, settings.trainer.port, port_variable="TRAINER_PORT")


def _said(error: ValidationError | ValueError) -> str:
    if isinstance(error, ValidationError):
        return "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
    return str(error)


if __name__ == "__main__":
    main()
