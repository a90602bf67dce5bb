"""bench.shadow.p99: what a challenger in the shadow costs those who are answered by the champion."""

import statistics
from collections.abc import Callable
from datetime import UTC, datetime

from benchmarks.load import Load, Outcome, measure
from benchmarks.results import Row
from flywheel_schemas.events import ChallengerState, ModelAction, ModelUpdated
from registry import ModelVersion

_ROUNDS, _SECONDS = 5, 3.0


def run(load: Load, announce: Callable[[bool], None]) -> list[Row]:
    """One row. `announce(with_challenger)` returns when the service serves so; rounds with and without take turns."""
    found: dict[bool, list[Outcome]] = {False: [], True: []}
    for _ in range(_ROUNDS):
        for beside in (False, True):
            announce(beside)
            found[beside].append(measure(Load(load.url, load.bodies, connections=load.connections, seconds=_SECONDS)))
    p99 = {beside: statistics.median(each.p99_ms for each in rounds) for beside, rounds in found.items()}
    failed = sum(each.failed for rounds in found.values() for each in rounds)
    return [
        Row(
            "bench.shadow.p99",
            value=round(p99[True], 2),
            unit="ms",
            reference=round(p99[False], 2),
            ratio=round(p99[True] / p99[False], 2),
            n=sum(each.requests for each in found[True]),
            note=f"{load.connections} connections under full load; reference: without a challenger. {failed} failed",
        )
    ]


def event(model: str, champion: ModelVersion, challenger: ModelVersion | None) -> ModelUpdated:
    """The champion, and beside it, where given, a challenger in the shadow."""
    told = ModelUpdated(
        model=model,
        model_version=champion.version,
        action=ModelAction.PROMOTED,
        traffic_percent=100.0,
        champion=champion.version,
        run_id=champion.run_id,
        training_set_hash="bench",
        artifact_uri=champion.artifact_uri,
        artifact_sha256=champion.artifact_sha256,
        occurred_at=datetime.now(UTC),
    )
    if challenger is None:
        return told
    beside = {
        "challenger": challenger.version,
        "challenger_state": ChallengerState.SHADOW,
        "challenger_traffic_percent": 0.0,
        "challenger_artifact_uri": challenger.artifact_uri,
        "challenger_artifact_sha256": challenger.artifact_sha256,
    }
    return told.model_copy(update=beside)
