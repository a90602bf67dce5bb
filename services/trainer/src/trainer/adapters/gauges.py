"""What is seen of models, as Prometheus gauges. A version that is gone from the window is gone from them."""

import math
from collections.abc import Iterator, Mapping

from prometheus_client import REGISTRY
from prometheus_client.core import GaugeMetricFamily, Metric

from evidence.quality import Estimate
from flywheel_schemas.spec_model import DriftTrigger
from trainer.application.measuring import Seen
from trainer.domain.live import LiveQuality
from trainer.domain.rollout import ALL_TRAFFIC

_VERSION = ["model", "version"]
_ESTIMATE = [*_VERSION, "estimate"]
_OF_CLASS = [*_VERSION, "class", "estimate"]


class Gauges:
    """The present state, for the process-wide registry."""

    def __init__(self) -> None:
        self._seen: Mapping[str, Seen] = {}

    def show(self, seen: Mapping[str, Seen]) -> None:
        """Show this, and nothing that was shown before."""
        self._seen = seen

    def collect(self) -> Iterator[Metric]:
        """The gauges."""
        yield from self._of_quality()
        yield from self._of_windows()
        yield from self._of_drift()
        yield self._of_traffic()
        yield from self._of_tables()

    def _of_quality(self) -> Iterator[Metric]:
        what = "by audited answers of the window, with the bounds of its 95 % interval (estimate: value, low, high)"
        accuracy = GaugeMetricFamily("flywheel_model_accuracy_ratio", f"Accuracy, {what}.", labels=_ESTIMATE)
        error = GaugeMetricFamily("flywheel_model_mean_absolute_error", f"Error, {what}.", labels=_ESTIMATE)
        stars = GaugeMetricFamily(
            "flywheel_model_satisfaction_rating",
            "Mean of the ratings (1 to 5) of those who rate, with the bounds of its 95 % interval.",
            labels=_ESTIMATE,
        )
        precision = GaugeMetricFamily("flywheel_model_precision_ratio", f"Precision, {what}.", labels=_OF_CLASS)
        recall = GaugeMetricFamily("flywheel_model_recall_ratio", f"Recall, {what}.", labels=_OF_CLASS)
        for model, each in self._versions():
            _add(accuracy, [model, each.version], each.accuracy)
            _add(error, [model, each.version], each.mean_absolute_error)
            _add(stars, [model, each.version], each.satisfaction)
            for name, (precise, recalled) in each.classes.items():
                _add(precision, [model, each.version, name], precise)
                _add(recall, [model, each.version, name], recalled)
        yield from (accuracy, precision, recall, error, stars)

    def _of_windows(self) -> Iterator[Metric]:
        audits = GaugeMetricFamily("flywheel_model_window_audits", "Audited answers in the window.", labels=_VERSION)
        answers = GaugeMetricFamily("flywheel_model_window_predictions", "Answers in the window.", labels=_VERSION)
        floor = GaugeMetricFamily(
            "flywheel_model_accuracy_floor_ratio",
            "Accuracy below which the model's spec asks for a training.",
            labels=["model"],
        )
        measured = GaugeMetricFamily(
            "flywheel_model_measured_timestamp_seconds", "When quality and drift were last looked at.", labels=["model"]
        )
        for model, version in self._versions():
            audits.add_metric([model, version.version], version.audits)
            answers.add_metric([model, version.version], version.predictions)
        for model, seen in self._seen.items():
            measured.add_metric([model], seen.at.timestamp())
            if (policy := seen.spec.retrain.quality) and policy.below is not None:
                floor.add_metric([model], policy.below)
        yield from (audits, answers, floor, measured)

    def _of_drift(self) -> Iterator[Metric]:
        labels = ["model", "column"]
        psi = GaugeMetricFamily(
            "flywheel_model_drift_psi",
            "Population stability index of each column and the scores.",
            labels=labels,
        )
        noise = GaugeMetricFamily(
            "flywheel_model_drift_psi_noise", "What of that chance alone exceeds once in a hundred.", labels=labels
        )
        limit = GaugeMetricFamily(
            "flywheel_model_drift_psi_limit", "Index above which a column counts as drifted.", labels=["model"]
        )
        for model, seen in self._seen.items():
            for name, drift in seen.drift.all.items() if seen.drift else ():
                psi.add_metric([model, name], drift.psi)
                noise.add_metric([model, name], drift.noise)
            limit.add_metric([model], (seen.spec.retrain.drift or DriftTrigger()).psi_above)
        yield from (psi, noise, limit)

    def _of_traffic(self) -> Metric:
        traffic = GaugeMetricFamily(
            "flywheel_model_traffic_ratio",
            "Share of the requests that a version answers; state is champion, canary or shadow.",
            labels=[*_VERSION, "state"],
        )
        for model, seen in self._seen.items():
            champion, trial = seen.standing.champion, seen.standing.trial
            percent = trial.percent if trial else 0.0
            if champion:
                traffic.add_metric([model, champion.version, "champion"], (ALL_TRAFFIC - percent) / ALL_TRAFFIC)
            if trial:
                traffic.add_metric([model, trial.release.version, trial.state.value], percent / ALL_TRAFFIC)
        return traffic

    def _of_tables(self) -> Iterator[Metric]:
        labels = ["model", "table"]
        rows = GaugeMetricFamily("flywheel_dataset_rows", "Rows of a table.", labels=labels)
        files = GaugeMetricFamily("flywheel_dataset_files", "Files of a table's newest version.", labels=labels)
        size = GaugeMetricFamily("flywheel_dataset_bytes", "Size of those files.", labels=labels)
        version = GaugeMetricFamily("flywheel_dataset_version", "A table's newest version.", labels=labels)
        for model, seen in self._seen.items():
            for table, found in seen.tables.items():
                rows.add_metric([model, table], found.rows)
                files.add_metric([model, table], found.files)
                size.add_metric([model, table], found.size_bytes)
                version.add_metric([model, table], found.version)
        yield from (rows, files, size, version)

    def _versions(self) -> Iterator[tuple[str, LiveQuality]]:
        for model, seen in self._seen.items():
            for version in seen.quality:
                yield model, version


def _add(family: GaugeMetricFamily, labels: list[str], found: Estimate) -> None:
    """What nobody knows is not shown: a series that is absent is easier to ask for than NaN."""
    if not found.is_informed:
        return
    for name, value in (("value", found.value), ("low", found.low), ("high", found.high)):
        if math.isfinite(value):
            family.add_metric([*labels, name], value)


GAUGES = Gauges()
REGISTRY.register(GAUGES)
