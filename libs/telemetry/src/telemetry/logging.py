"""Structured logs: one JSON object a line on stderr, with the ids of the trace that is running.

Events are snake_case names with fields: `log.info("model_promoted", model=..., version=...)`.
"""

import json
import logging as stdlib
import sys
from typing import Any, cast

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

from telemetry import tracing

BoundLogger = FilteringBoundLogger

_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
# Libraries that tell at INFO what their callers already log, or that repeat themselves.
_CHATTY = ("urllib3", "botocore", "httpx", "httpcore", "aiokafka", "asyncio")


class _Stderr:
    """Writes to whatever `sys.stderr` is now, so a redirected stderr (a test's, a daemon's) is honoured."""

    def msg(self, message: str) -> None:
        sys.stderr.write(message + "\n")

    debug = info = warning = error = critical = exception = log = msg


def configure(service: str, level: str = "INFO") -> None:
    """Log as `service` from `level` up; the standard library's loggers take the same way.

    Raises ValueError for a level that does not exist.
    """
    name = level.upper()
    if name not in _LEVELS:
        raise ValueError(f"log level {level!r} does not exist; choose one of {', '.join(_LEVELS)}")
    number = stdlib.getLevelNamesMapping()[name]
    _apply(service, number, cache=True)
    handler = stdlib.StreamHandler(_StderrStream())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_chain(service)],
        )
    )
    root = stdlib.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(number)
    for chatty in _CHATTY:
        stdlib.getLogger(chatty).setLevel(max(number, stdlib.WARNING))


def get(name: str) -> BoundLogger:
    """The logger called `name`. Usable at import time: it obeys `configure` whenever that comes."""
    return cast(BoundLogger, structlog.get_logger(logger_name=name))


class _StderrStream:
    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def _apply(service: str, level: int, *, cache: bool) -> None:
    structlog.configure(
        processors=_chain(service),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: _Stderr(),
        cache_logger_on_first_use=cache,
    )


def _chain(service: str) -> list[Processor]:
    def add_service(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        event["service"] = service
        if "logger_name" in event:
            event["logger"] = event.pop("logger_name")
        return event

    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        add_service,
        _add_trace,
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(serializer=_dumps),
    ]


def _add_trace(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    if "trace_id" not in event and (traceparent := tracing.current_traceparent_or_none()):
        _, event["trace_id"], event["span_id"], _ = traceparent.split("-")
    return event


def _dumps(value: Any, **_: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


# Until a process configures itself (a command, a test) only warnings are heard, and never on stdout.
_apply("flywheel", stdlib.WARNING, cache=False)
