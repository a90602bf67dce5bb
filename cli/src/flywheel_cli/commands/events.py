"""`flywheel events`: what travels over Kafka, in words."""

import json
import time
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from flywheel_cli.event_words import in_words
from flywheel_schemas.topics import BY_NAME
from kafka_runtime import cloud_events
from kafka_runtime.errors import KafkaRuntimeError
from kafka_runtime.reader import AssignedReader
from kafka_runtime.record import Record
from kafka_runtime.settings import KafkaSettings

app = typer.Typer(no_args_is_help=True, help="Look at the events that travel over Kafka.")
_TIMEOUT_S = 5.0
_SHOWN_CHARS = 2000


@app.callback()
def events() -> None:
    """Look at the events that travel over Kafka."""


@app.command()
def tail(
    topic: Annotated[str, typer.Argument(help=f"One of: {', '.join(BY_NAME)}.")],
    *,
    model: Annotated[str | None, typer.Option(help="Only events of this model.")] = None,
    from_beginning: Annotated[bool, typer.Option("--from-beginning", help="Everything that Kafka still has.")] = False,
    follow: Annotated[bool, typer.Option(help="Wait for more, until Ctrl-C.")] = True,
    count: Annotated[int, typer.Option("-n", min=0, help="How many of the last events to begin with.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Print the events of TOPIC, one a line. Reads without a group, so it disturbs nobody."""
    if topic not in BY_NAME:
        typer.echo(f"There is no topic {topic}. The topics are: {', '.join(BY_NAME)}.", err=True)
        raise typer.Exit(2)
    try:
        with AssignedReader(KafkaSettings(), topic) as reader:
            limit = None if from_beginning else count
            for record in _begin_with(reader, limit, model):
                typer.echo(_line(record, as_json))
            while follow:
                found = reader.next(0.5)
                if found is not None and _concerns(found, model):
                    typer.echo(_line(found, as_json))
    except KafkaRuntimeError as exc:
        typer.echo(str(exc), err=True)
        raise typer.Exit(1) from exc
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


def _begin_with(reader: AssignedReader, limit: int | None, model: str | None) -> Iterator[Record]:
    """What is there already, all partitions together in the order of time; the last `limit`, if there is one.

    Leaves `reader` at the end of the topic.
    """
    marks = {p: reader.watermarks(p, _TIMEOUT_S) for p in reader.partitions(_TIMEOUT_S)}
    # With a model to look for, nobody knows how far back its last events lie.
    back = limit if limit is not None and model is None else None
    reader.assign({p: low if back is None else max(low, high - back) for p, (low, high) in marks.items()})
    found: deque[Record] = deque(maxlen=limit)
    deadline = time.monotonic() + _TIMEOUT_S
    while not reader.at_end and time.monotonic() < deadline:
        record = reader.next(0.2)
        if record is not None:
            deadline = time.monotonic() + _TIMEOUT_S
            if _concerns(record, model):
                found.append(record)
    yield from sorted(found, key=lambda record: record.timestamp_ms)


def _concerns(record: Record, model: str | None) -> bool:
    return model is None or record.key == model.encode() or _body(record).get("model") == model


def _line(record: Record, as_json: bool) -> str:
    if as_json:
        return json.dumps(_as_object(record), ensure_ascii=False)
    moment = datetime.fromtimestamp(record.timestamp_ms / 1000, UTC).isoformat(timespec="milliseconds")
    key = record.key.decode("utf-8", "replace")
    return f"{moment.replace('+00:00', 'Z')}  {key}  {_type(record)}  {in_words(record, _body(record))}"


def _as_object(record: Record) -> dict[str, Any]:
    return {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": datetime.fromtimestamp(record.timestamp_ms / 1000, UTC).isoformat().replace("+00:00", "Z"),
        "key": record.key.decode("utf-8", "replace"),
        "headers": {name: value.decode("utf-8", "replace") for name, value in record.headers},
        "value": _body(record) or (record.value.decode("utf-8", "replace")[:_SHOWN_CHARS] if record.value else None),
    }


def _type(record: Record) -> str:
    kind = cloud_events.header(record.headers, "ce_type") or "unknown"
    return kind.removeprefix("dev.flywheel.")


def _body(record: Record) -> dict[str, Any]:
    try:
        body = json.loads(record.value or b"")
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}
