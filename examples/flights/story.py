"""What became of each model version: when it served, how good it was, what people thought, what had taught it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from evidence.quality import Estimate, error_rate
from flights.calls import MODEL
from flights.lines import POSITIVE, area
from flights.replay import Served
from lake import Lake, read
from lake.triggers import TriggerLog
from registry import ModelVersion, Registry

# A confirmation's label is what was predicted.
_LABEL = pl.when(pl.col("kind") == "confirmation").then(pl.col("predicted")).otherwise(pl.col("label")).alias("label")


@dataclass(frozen=True, slots=True)
class Quality:
    """Of what one version served, measured with the truth that only the data set knows; NaN where undefined."""

    rows: int
    accuracy: float
    precision: float
    recall: float
    auc: float


@dataclass(frozen=True, slots=True)
class Chapter:
    """One version. `estimated_error` is what the audited answers say, without the truth."""

    version: str
    state: str
    reason: str
    first: int | None
    from_date: date | None
    to_date: date | None
    quality: Quality
    estimated_error: Estimate
    satisfaction: float
    ratings: int
    taught: Mapping[str, int]
    dataset_version: int | None
    threshold_to_serving_s: float | None


class Story:
    """Tells the chapters of a replay from its answers, the lake and the registry."""

    def __init__(self, flights: pl.DataFrame, served: Served, lake: Lake, registry: Registry) -> None:
        self._flights = flights
        self._served = served
        self._lake = lake
        self._triggers = {str(each.trigger_id): each.occurred_at for each in TriggerLog(lake, MODEL).all()}
        self._versions = registry.versions(MODEL)
        columns = ("prediction_id", "model_version", "predicted", "label", "audited", "rating", "kind")
        self._feedback = read.feedback(lake, MODEL).select(columns).with_columns(_LABEL).collect()

    def chapters(self, first_answer_s: Mapping[str, float]) -> list[Chapter]:
        """Every version, oldest first. `first_answer_s` is when each first answered, in Unix time."""
        return [self._chapter(version, first_answer_s.get(version.version)) for version in self._versions]

    def _chapter(self, version: ModelVersion, first_answer_s: float | None) -> Chapter:
        mine = np.flatnonzero((self._served.version == int(version.version)) & np.isfinite(self._served.score))
        days = self._flights["scheduled_at"].dt.date()
        rated = self._feedback.filter((pl.col("model_version") == version.version) & pl.col("rating").is_not_null())
        crossed = self._triggers.get(version.trigger_id or "")
        dataset = version.dataset_versions.get("feedback")
        stars = rated["rating"].mean()
        return Chapter(
            version=version.version,
            state=version.state.value,
            reason=version.reason,
            first=int(mine[0]) if len(mine) else None,
            from_date=days[int(mine[0])] if len(mine) else None,
            to_date=days[int(mine[-1])] if len(mine) else None,
            quality=self._quality(mine),
            estimated_error=self._estimated(version.version, mine),
            satisfaction=float(stars) if isinstance(stars, float) else float("nan"),
            ratings=rated.height,
            taught=self._taught(dataset),
            dataset_version=dataset,
            threshold_to_serving_s=first_answer_s - crossed.timestamp() if first_answer_s and crossed else None,
        )

    def _quality(self, mine: np.ndarray) -> Quality:
        label = self._flights["label"]
        known = mine[label.is_not_null().to_numpy()[mine]]
        truth = (label == POSITIVE).fill_null(value=False).to_numpy()[known]
        said = self._served.late[known]
        return Quality(
            rows=len(mine),
            accuracy=_share(said == truth),
            precision=_share(truth[said]),
            recall=_share(said[truth]),
            auc=area(truth, self._served.score[known]),
        )

    def _estimated(self, version: str, mine: np.ndarray) -> Estimate:
        said = np.where(self._served.late[mine], POSITIVE, "on_time")
        counts = dict(zip(*np.unique(said, return_counts=True), strict=True))
        words = self._feedback.filter((pl.col("model_version") == version) & pl.col("label").is_not_null())
        words = words.unique("prediction_id", keep="last", maintain_order=True)
        audited = words["audited"].fill_null(value=False).to_numpy()
        return error_rate(words["predicted"].to_numpy(), words["label"].to_numpy(), audited, counts)

    def _taught(self, dataset_version: int | None) -> dict[str, int]:
        """Rows by kind of the feedback table at a version, and how many of them answered an audit."""
        if dataset_version is None:
            return {}
        rows = read.feedback(self._lake, MODEL, dataset_version).select("kind", "audited").collect()
        kinds = dict(sorted(rows.group_by("kind").len().iter_rows()))
        return {**kinds, "audited": rows.filter(pl.col("audited") & (pl.col("kind") != "rating")).height}


def served_in_turn(chapters: Sequence[Chapter]) -> list[Chapter]:
    """The versions that answered anything, in the order in which they began."""
    return sorted((each for each in chapters if each.first is not None), key=lambda each: each.first or 0)


def _share(holds: np.ndarray) -> float:
    return float(holds.mean()) if len(holds) else float("nan")
