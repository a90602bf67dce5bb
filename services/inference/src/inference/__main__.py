"""`python -m inference` serves predictions on INFERENCE_PORT."""

import sys

from pydantic import ValidationError

from inference.settings import Settings
from inference.wiring.service import build
from telemetry import logging, tracing

# A thread that loads a model holds Python's lock for up to this long while requests wait (the default is 5 ms).
_SWITCH_S = 0.0005


def main() -> None:
    """Serves until SIGTERM or SIGINT; a wrong setting ends with code 2 and a line that names it."""
    logging.configure("inference")
    try:
        settings = Settings()
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        print(f"error: {wrong}", file=sys.stderr)  # noqa: T201 - a line for whoever started the process
        sys.exit(2)
    logging.configure("inference", settings.own.log_level)
    sys.setswitchinterval(_SWITCH_S)
    tracing.configure("inference", settings.own.otlp_endpoint)
    build(settings).run()


if __name__ == "__main__":
    main()
