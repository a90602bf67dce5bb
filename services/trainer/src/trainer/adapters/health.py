"""challenger-health, followed: how each challenger does in all replicas together."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from pydantic import ValidationError

from flywheel_schemas.events import ChallengerHealth
from flywheel_schemas.topics import CHALLENGER_HEALTH
from kafka_runtime.follower import Follower
from kafka_runtime.record import Record
from kafka_runtime.settings import KafkaSettings
from telemetry import logging
from trainer.domain.verdict import Health

_LOG = logging.get("trainer")
FRESH = timedelta(seconds=15)


class KafkaHealth:
    """The last report of each replica; reports add up, since each counts from its replica's start of the trial."""

    def __init__(self, settings: KafkaSettings, now: Callable[[], datetime]) -> None:
        self._follower = Follower(settings, CHALLENGER_HEALTH)
        self._now = now
        self._reports: dict[tuple[str, str], dict[tuple[str, datetime], ChallengerHealth]] = {}
        self._lock = threading.Lock()
        self.on_problem: Callable[[], None] = lambda: None

    def start(self) -> None:
        """Begin to follow."""
        self._follower.start(self.hear)

    def close(self) -> None:
        """End."""
        self._follower.close(2.0)

    def hear(self, record: Record) -> None:
        """Take one report."""
        try:
            report = ChallengerHealth.parse(record.value or b"")
        except ValidationError as exc:
            _LOG.warning("challenger_health_unreadable", offset=record.offset, detail=str(exc))
            return
        with self._lock:
            of_version = self._reports.setdefault((report.model, report.model_version), {})
            of_version[report.replica, report.since] = report
        if report.problem is not None:
            self.on_problem()

    def of(self, model: str, version: str, since: datetime) -> Health:
        """What was counted in the trial that began at `since`, by all replicas together; problems of those alive."""
        with self._lock:
            reports = [r for r in self._reports.get((model, version), {}).values() if r.occurred_at >= since]
        alive = [report for report in reports if self._now() - report.occurred_at < FRESH]
        disagreement: dict[str, dict[str, int]] = {}
        slices: dict[str, list[int]] = {}
        for report in reports:
            for theirs, own in report.disagreement.items():
                into = disagreement.setdefault(theirs, {})
                for mine, count in own.items():
                    into[mine] = into.get(mine, 0) + count
            for group, counts in report.slices.items():
                slices[group] = [a + b for a, b in zip(slices.get(group, [0, 0]), counts, strict=True)]
        return Health(
            requests=sum(report.requests for report in reports),
            failed=sum(report.failed for report in reports),
            p99_ms=max((r.p99_ms for r in alive if r.p99_ms is not None), default=None),
            champion_p99_ms=max((r.champion_p99_ms for r in alive if r.champion_p99_ms is not None), default=None),
            problem=next((f"{r.problem} (replica {r.replica})" for r in alive if r.problem), None),
            shadowed=sum(report.shadowed for report in reports),
            disagreed=sum(report.disagreed for report in reports),
            disagreement=disagreement,
            slices=slices,
        )
