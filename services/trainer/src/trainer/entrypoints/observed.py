"""GET …/quality and …/drift: what is seen of a model while it serves."""

import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import FastAPI, Query
from pydantic import BaseModel, BeforeValidator, ConfigDict

from evidence.drift import Drift
from evidence.quality import Estimate
from flywheel_schemas.spec_model import parse_duration
from trainer.application.drift_history import DriftHistory
from trainer.application.measuring import WINDOW
from trainer.application.observing import Observer
from trainer.domain.drifting import Drifted
from trainer.domain.live import LiveQuality
from trainer.entrypoints.routes import Name, Reader, problems_of

Window = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    Query(description="How far back, such as 12h or 7d.", json_schema_extra={"type": "string", "format": None}),
]


class Shown(BaseModel):
    """Frozen; fields may be named model_…."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())


class EstimateShown(Shown):
    """An estimate with its 95 % interval. `value` null: nothing is known, and `answers` says how few there are."""

    value: float | None
    low: float | None
    high: float | None
    answers: int


class ClassShown(Shown):
    """One class."""

    name: str
    precision: EstimateShown
    recall: EstimateShown


class VersionShown(Shown):
    """One version's answers; figures come from audited answers, satisfaction from the ratings that people gave."""

    version: str
    predictions: int
    audits: int
    accuracy: EstimateShown
    precision: EstimateShown
    recall: EstimateShown
    classes: list[ClassShown]
    mean_absolute_error: EstimateShown
    satisfaction: EstimateShown


class QualityShown(Shown):
    """Live quality of each version that answered in the window."""

    model: str
    versions: list[VersionShown]


class BinShown(Shown):
    """Share of the rows in a bin, in the training set and in the window."""

    label: str
    then: float
    now: float


class DriftShown(Shown):
    """Population stability index of one column; `noise` is what chance alone exceeds once in a hundred."""

    name: str
    psi: float
    noise: float
    bins: list[BinShown]


class DriftsShown(Shown):
    """Drift from the training set that `reference` names; null where no version serves yet."""

    model: str
    reference: str | None
    predictions: int
    features: list[DriftShown]
    scores: DriftShown | None


class DriftSampleShown(Shown):
    """PSI by column at one moment; `noise` is the most that chance alone makes of any of them."""

    model_config = ConfigDict(frozen=True, protected_namespaces=(), from_attributes=True)

    at: datetime
    version: str
    rows: int
    psi: Mapping[str, float]
    noise: float


class DriftHistoryShown(Shown):
    """Drift over time, oldest first; the older, the fewer points."""

    model: str
    samples: list[DriftSampleShown]


def install(app: FastAPI, observer: Observer, history: DriftHistory) -> None:
    """Add the routes."""

    @app.get("/v1/models/{model}/quality", tags=["watching"], responses=problems_of(404, 503))
    def quality(model: Name, _: Reader, window: Window = WINDOW) -> QualityShown:
        """How good each version is on what it answered in the window, by the audited estimate with its interval."""
        return QualityShown(model=model, versions=[_version(each) for each in observer.quality(model, window)])

    @app.get("/v1/models/{model}/drift", tags=["watching"], responses=problems_of(404, 503))
    def drift(model: Name, _: Reader, window: Window = WINDOW) -> DriftsShown:
        """How far features and scores of the window have moved from the champion's training set."""
        return _drifted(model, observer.drift(model, window))

    @app.get("/v1/models/{model}/drift/history", tags=["watching"], responses=problems_of(404, 503))
    def drift_history(model: Name, _: Reader) -> DriftHistoryShown:
        """How drift went: a point a minute while answers come in, from a hundred answers on."""
        samples = [DriftSampleShown.model_validate(each) for each in history.of(model)]
        return DriftHistoryShown(model=model, samples=samples)


def _version(seen: LiveQuality) -> VersionShown:
    return VersionShown(
        version=seen.version,
        predictions=seen.predictions,
        audits=seen.audits,
        accuracy=_estimate(seen.accuracy),
        precision=_estimate(seen.precision),
        recall=_estimate(seen.recall),
        classes=[
            ClassShown(name=name, precision=_estimate(precision), recall=_estimate(recall))
            for name, (precision, recall) in seen.classes.items()
        ],
        mean_absolute_error=_estimate(seen.mean_absolute_error),
        satisfaction=_estimate(seen.satisfaction),
    )


def _drifted(model: str, seen: Drifted | None) -> DriftsShown:
    if seen is None:
        return DriftsShown(model=model, reference=None, predictions=0, features=[], scores=None)
    reference = f"training set of version {seen.version}, {seen.taught_rows:,} rows"
    features = sorted((_drift(name, each) for name, each in seen.features.items()), key=lambda each: -each.psi)
    scores = _drift("scores", seen.scores)
    return DriftsShown(model=model, reference=reference, predictions=seen.rows, features=features, scores=scores)


def _drift(name: str, seen: Drift) -> DriftShown:
    bins = [
        BinShown(label=label, then=then, now=now)
        for label, then, now in zip(seen.labels, seen.then, seen.now, strict=True)
    ]
    return DriftShown(name=name, psi=seen.psi, noise=seen.noise, bins=bins)


def _estimate(seen: Estimate) -> EstimateShown:
    if not seen.is_informed:
        return EstimateShown(value=None, low=None, high=None, answers=seen.audits)
    return EstimateShown(value=seen.value, low=_finite(seen.low), high=_finite(seen.high), answers=seen.audits)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
