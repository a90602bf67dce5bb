"""Whether a candidate may serve: the gates, fed with what champion and candidate answer on the same rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from features import FeatureSchema
from flywheel_schemas.events import GateReport
from flywheel_schemas.spec import ModelSpec
from registry import ModelVersion
from trainer.application.fitting import Trained, table
from trainer.application.ports import Learner, Models, Table
from trainer.domain import gates
from trainer.domain.metrics import Floats, all_metrics, measure
from trainer.domain.training_set import TrainingSet, unseen

LATENCY_ROWS = 200
SHAP_ROWS = 2000


@dataclass(frozen=True, slots=True)
class Judgement:
    """Reports, and metrics by name: `judged.*` before the refit, `refit.*` after it, on rows that it has then seen."""

    gates: Sequence[GateReport]
    metrics: Mapping[str, float]
    targets: Floats
    answers: Floats
    weights: Floats
    shap: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Rival:
    """What the candidate is compared with: the champion, or always answering the same where there is none."""

    name: str
    spec: ModelSpec | None = None
    text: str = ""


class Judging:
    """Compares candidates with the champion."""

    def __init__(self, learner: Learner, models: Models) -> None:
        self._learner = learner
        self._models = models

    def rival(self, spec: ModelSpec, champion: ModelVersion | None) -> Rival:
        """The champion, where it answers in the same terms as the candidate."""
        if champion is None:
            return Rival("constant answer")
        champion_spec, text = self._models.load(champion)
        if (champion_spec.task, champion_spec.classes) != (spec.task, spec.classes):
            return Rival("constant answer", champion_spec)
        return Rival("champion", champion_spec, text)

    def judge(
        self,
        spec: ModelSpec,
        training_set: TrainingSet,
        trained: Trained,
        rival: Rival,
        golden: pl.DataFrame | None,
    ) -> Judgement:
        """Every gate's report. The candidate is `trained.judged`, which has seen none of the holdout."""
        rows = training_set.holdout
        holdout = table(spec, rows)
        prior = _prior(spec, table(spec, training_set.train))
        note = str(training_set.notes.get("weights", ""))
        evidence = self._evidence(rows, trained, rival, prior=prior, note=note, spec=spec)
        matrix = holdout.matrix[:LATENCY_ROWS]
        reports = [
            gates.metric_gate(spec, evidence),
            gates.slice_gate(spec, evidence),
            gates.calibration_gate(spec, evidence),
            gates.size_gate(spec, len(trained.served.text.encode())),
            gates.latency_gate(spec, self._learner.seconds_per_row(trained.served.text, matrix)),
            gates.compatibility_gate(spec, rival.spec, trained.served.feature_names),
        ]
        if golden is not None:
            seen = self._evidence(golden, trained, rival, prior=prior, note="", spec=spec)
            reports.insert(2, gates.golden_gate(spec, seen))
        refit = self._learner.predict(trained.served.text, holdout.matrix)
        metrics = _metrics(spec, evidence, refit)
        shap = self._shap(trained, holdout.matrix)
        return Judgement(reports, metrics, holdout.targets, evidence.candidate, holdout.weights, shap)

    def _shap(self, trained: Trained, matrix: np.ndarray) -> dict[str, float]:
        """What each column moves the served model's raw score by, on average over an even draw of the holdout."""
        every = max(1, -(-len(matrix) // SHAP_ROWS))
        moved = self._learner.contributions(trained.served.text, matrix[::every])
        return dict(zip(trained.served.feature_names, moved.tolist(), strict=True))

    def _evidence(
        self, rows: pl.DataFrame, trained: Trained, rival: Rival, *, prior: Floats, note: str, spec: ModelSpec
    ) -> gates.Evidence:
        numbers = table(spec, rows)
        candidate = self._learner.predict(trained.judged.text, numbers.matrix)
        return gates.Evidence(
            rows=rows,
            targets=numbers.targets,
            weights=numbers.weights,
            champion=self._rival_answers(rival, rows, prior),
            candidate=candidate,
            reference=rival.name,
            weights_note=note,
        )

    def _rival_answers(self, rival: Rival, rows: pl.DataFrame, prior: Floats) -> Floats:
        if not rival.text or rival.spec is None:
            return np.repeat(prior[None, :], rows.height, axis=0) if len(prior) > 1 else np.full(rows.height, prior[0])
        return self._learner.predict(rival.text, _lenient_matrix(rival.spec, rows))


def nothing_new(reports: Sequence[GateReport], rows: pl.DataFrame, known_events: frozenset[str]) -> list[GateReport]:
    """`reports` with the metric gate failed where the champion knows every row that it was compared on.

    Slices are then not judged: the champion has learned those rows by heart, which says nothing of the candidate.
    """
    if rows.filter(unseen(known_events)).height:
        return list(reports)
    nothing = (
        "there is no feedback that the champion has not learned from, so nothing shows that another model is better"
    )
    verdicts: dict[str, dict[str, object]] = {
        "metric": {"passed": False, "reason": nothing},
        "worst_slice": {"passed": True, "reason": "not judged: the champion has learned from all these rows"},
    }
    return [report.model_copy(update=verdicts.get(report.name, {})) for report in reports]


def _prior(spec: ModelSpec, train: Table) -> Floats:
    """The best constant answer: the mean, or the share of each class."""
    if spec.task != "multiclass":
        return np.array([np.average(train.targets, weights=train.weights)])
    shares = np.bincount(train.targets.astype(np.intp), weights=train.weights, minlength=len(spec.classes))
    return np.asarray(shares / shares.sum())


def _lenient_matrix(spec: ModelSpec, rows: pl.DataFrame) -> np.ndarray:
    """Rows as the champion sees them, though a feature that it requires may be gone from the candidate's spec."""
    optional = [feature.model_copy(update={"required": False}) for feature in spec.features]
    schema = FeatureSchema(spec.model_copy(update={"features": tuple(optional)}))
    return schema.matrix({name: rows[name].to_arrow() for name in spec.feature_names if name in rows.columns})


def _metrics(spec: ModelSpec, evidence: gates.Evidence, refit: Floats) -> dict[str, float]:
    answers = {"judged": evidence.candidate, evidence.reference.split()[0]: evidence.champion, "refit": refit}
    found = {
        f"{who}.{metric}": measure(metric, evidence.targets, outputs, evidence.weights)
        for who, outputs in answers.items()
        for metric in all_metrics(spec.task)
    }
    return {name: value for name, value in found.items() if np.isfinite(value)}
