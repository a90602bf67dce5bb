"""One line in the log for each flush, and one for each event that it did not store, up to a bound."""

from collections.abc import Iterable
from itertools import islice
from typing import Any

from kafka_runtime import cloud_events
from stream_processor.application.flush import Decided
from stream_processor.application.reading import Batch
from telemetry import logging

_LOG = logging.get(__name__)
MAX_LINES = 20


def tell(topic: str, batch: Batch, decided: Decided, seconds: float) -> None:
    """Say what became of the batch, which is safe by now."""
    for fields in islice(_dead_letters(decided), MAX_LINES):
        _LOG.warning("event_dead_lettered", topic=topic, **fields)
    for fields in islice(_set_aside(decided), MAX_LINES):
        _LOG.warning("event_quarantined", topic=topic, **fields)
    _LOG.info(
        "flush_done",
        topic=topic,
        offsets={partition.number: [records[0].offset, records[-1].offset] for partition, records in batch},
        stored={flush.model: flush.rows.num_rows for flush in decided.flushes},
        duplicates=_count(flush.duplicates.values() for flush in decided.flushes),
        quarantined=_count(flush.quarantined.values() for flush in decided.flushes),
        dead_letters=len(decided.dead_letters),
        seconds=round(seconds, 3),
    )


def _dead_letters(decided: Decided) -> Iterable[dict[str, Any]]:
    for source, why in decided.dead_letters:
        found = {"partition": source.partition, "offset": source.offset, "reason": why.reason}
        trace = cloud_events.traceparent(source.headers)
        if trace and trace.count("-") == 3:
            found["trace_id"] = trace.split("-")[1]
        yield found


def _set_aside(decided: Decided) -> Iterable[dict[str, Any]]:
    for flush in decided.flushes:
        for row in flush.aside.select(["event_id", "reason"]).to_pylist():
            yield {"model": flush.model, **row}


def _count(offsets: Iterable[Iterable[Any]]) -> int:
    return sum(len(each) for group in offsets for each in group)
