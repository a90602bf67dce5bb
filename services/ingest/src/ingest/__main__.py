"""`python -m ingest`: the ingest API on INGEST_PORT."""

import sys

from pydantic import ValidationError

from flywheel_schemas.spec import SpecError
from http_api.key_file import KeyFileError
from ingest import settings, wiring


def main() -> None:
    """Serve until SIGTERM. Wrong settings end the process with code 2 and a line for each."""
    try:
        service = wiring.build(settings.load())
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, each['loc'])) or error.title}: {each['msg']}" for each in error.errors()]
        _refuse(wrong)
    except (SpecError, KeyFileError, ValueError) as error:
        _refuse(str(error).splitlines())
    service.run()


def _refuse(reasons: list[str]) -> None:
    for reason in reasons:
        print(f"error: {reason}", file=sys.stderr)  # noqa: T201 - before there are logs
    sys.exit(2)


if __name__ == "__main__":
    main()
