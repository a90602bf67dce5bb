"""`flywheel topics`: what to do about Kafka's topics when they have lost what they held."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from flywheel_cli import lost_ends
from flywheel_cli.output import show
from flywheel_schemas.spec import FeedbackPolicy
from kafka_runtime import padding
from kafka_runtime.settings import KafkaSettings
from lake.lake import Lake
from lake.settings import LakeSettings

_UNTIL_READ = timedelta(hours=1)
app = typer.Typer(no_args_is_help=True, help="Mend topics that were lost or made anew.")


@app.callback()
def topics() -> None:
    """Mend topics that were lost or made anew."""


@app.command()
def resume(
    *,
    preview: Annotated[bool, typer.Option("--preview", help="Only say which partitions it concerns.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Let topics that were made anew go on at the offsets that the lake has come to.

    The lake knows a record by its offset, so the stream processor stops where a topic ends before what the lake holds.
    This fills such partitions up with records that say nothing, writes what was sent to them meanwhile once more
    behind, and deletes the filling. No event is lost or stored twice, also when it is broken off and run again.
    """
    kafka, lake = KafkaSettings(), Lake(LakeSettings())
    found = lost_ends.find(lake, kafka, lost_ends.in_dead_letters(kafka))
    if not found and not as_json:
        typer.echo("Every topic goes on where the lake is. There is nothing to do.")
        return
    rows = [
        {"topic": each.topic.name, "partition": each.partition, "ended_at": each.end, "known": each.known}
        for each in found
    ]
    done = [] if preview else _resume(lake, kafka, found)
    if done:
        rows = [
            {**row, "goes_on_at": each.known + 1, "written_again": one.written_again, "left": one.left}
            for row, each, one in zip(rows, found, done, strict=True)
        ]
    show(rows, as_json=as_json)
    if left := sum(each.left for each in done):
        typer.echo(
            f"{left} records are older than the window in which doubles are known; they were left alone.", err=True
        )


def _known_for(lake: Lake) -> timedelta:
    """How old an event may be for the stream processor to know that it has it, less the time until it reads it."""
    windows = [spec.feedback.dedup_window for spec in lake.specs.all().values()]
    return min(windows, default=FeedbackPolicy.model_fields["dedup_window"].default) - _UNTIL_READ


def _resume(lake: Lake, kafka: KafkaSettings, found: list[lost_ends.LostEnd]) -> list[padding.Padded]:
    from rich.console import Console
    from rich.progress import Progress

    since = datetime.now(UTC) - _known_for(lake)
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("filling up", total=sum(each.known + 1 - each.end for each in found))
        return [
            padding.pad(
                kafka,
                each.topic,
                each.partition,
                each.known + 1,
                since_ms=int(since.timestamp() * 1000),
                told=lambda n: progress.advance(task, n),
            )
            for each in found
        ]
