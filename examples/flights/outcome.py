"""What a demo came to, and whether it showed what it promises."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.results import Row
from flights.account import Account
from flights.calls import Tally
from flights.story import Chapter

WORTH_A_RATIO = 0.005
FROZEN, SERVED, NAIVE, ALL_LABELS = "frozen", "flywheel", "naive", "all_labels"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything that the report tells. `lines` holds AUC by month for each way of learning."""

    months: int
    naive: bool
    chapters: Sequence[Chapter]
    lines: Mapping[str, Mapping[int, float]]
    account: Account
    tally: Tally
    answers: int
    answers_stored: int
    settled: bool
    replay_s: float
    total_s: float

    @property
    def promoted(self) -> int:
        """Versions that came to serve after the first."""
        return sum(chapter.state in {"promoted", "retired"} for chapter in self.chapters[1:])

    @property
    def covered(self) -> float:
        """How far from frozen to all labels the served line got, of 1; NaN where the two hardly differ."""
        frozen, best = self.mean(FROZEN), self.mean(ALL_LABELS)
        return (self.mean(SERVED) - frozen) / (best - frozen) if best - frozen > WORTH_A_RATIO else float("nan")

    def mean(self, line: str) -> float:
        """AUC averaged by month; NaN for a line that was not drawn."""
        return float(np.mean(list(self.lines[line].values()))) if line in self.lines else float("nan")

    def delays_s(self) -> list[float]:
        """From each threshold to the first answer of the version that it led to."""
        return [each.threshold_to_serving_s for each in self.chapters if each.threshold_to_serving_s is not None]

    def broken(self) -> list[str]:
        """The invariants that did not hold, as sentences; empty when all is well."""
        account, found = self.account, list[str]()
        if self.tally.failures:
            found.append(f"{len(self.tally.failures)} requests failed; the first: {self.tally.failures[0]}")
        if not account.balances:
            found.append(
                f"the account does not balance: {account.accepted} accepted, {account.stored} stored, "
                f"{account.duplicates} duplicates, {account.quarantined} quarantined, {account.lost} lost, "
                f"{account.doubled} doubled, {account.unknown} of unknown origin"
            )
        if self.answers_stored != self.answers:
            found.append(f"{self.answers} answers were given, but the lake holds {self.answers_stored} predictions")
        if not self.settled:
            found.append("feedback or trainings were still on their way when the time for them was up")
        return found

    def _way(self, line: str) -> str:
        return f"; {self.covered:.2f} of the way" if line == SERVED and np.isfinite(self.covered) else ""

    def rows(self) -> list[Row]:
        """The figures that programs read; lines that were not drawn, and delays where nothing changed, are left out."""
        replayed = f"March and {self.months - 1} more months" if self.months > 1 else "March"
        figures = [
            Row("demo.versions_promoted", self.promoted, "versions", n=len(self.chapters), note="after the first"),
            Row("demo.requests_failed", len(self.tally.failures), "requests", n=self.tally.sent),
            Row("demo.lost", self.account.lost, "events", n=self.account.accepted),
            Row("demo.doubled", self.account.doubled, "events", n=self.account.accepted),
        ]
        for line in (FROZEN, SERVED, NAIVE, ALL_LABELS):
            name = NAIVE if self.naive and line == SERVED else line
            if line not in self.lines or (self.naive and line == NAIVE):
                continue
            reference = self.mean(FROZEN) if line != FROZEN else None
            ratio = self.mean(line) / reference if reference else None
            note = f"{replayed}, averaged by month" + self._way(line)
            months = len(self.lines[line])
            figures.append(Row(f"demo.auc.{name}", self.mean(line), "AUC", reference, ratio, n=months, note=note))
        if delays := self.delays_s():
            note = f"median; slowest {max(delays):.1f} s"
            figures.append(Row("demo.threshold_to_serving", float(np.median(delays)), "s", n=len(delays), note=note))
        return figures
