"""Pictures of a model, as PNG. Matplotlib is loaded when the first is drawn."""

from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any

import numpy as np

from flywheel_schemas.spec import ModelSpec
from trainer.domain.metrics import Floats

_BINS = 10


def draw(
    spec: ModelSpec, targets: Floats, outputs: Floats, weights: Floats, moved: Mapping[str, float]
) -> dict[str, bytes]:
    """By file name: feature importances, and how the answers on the holdout compare with what was true."""
    pictures = {"importances.png": _picture(lambda axes: _importances(axes, moved))}
    if spec.task == "regression":
        pictures["answers.png"] = _picture(lambda axes: _answers(axes, targets, outputs))
        return pictures
    if spec.task == "binary":
        pictures["roc.png"] = _picture(lambda axes: _roc(axes, targets, outputs, weights))
        right, confidence = targets, outputs
    else:
        right, confidence = (outputs.argmax(axis=1) == targets).astype(np.float64), outputs.max(axis=1)
    pictures["reliability.png"] = _picture(lambda axes: _reliability(axes, right, confidence, weights))
    return pictures


def _picture(paint: Callable[[Any], None]) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), dpi=90, layout="constrained")
    FigureCanvasAgg(figure)
    paint(figure.add_subplot())
    content = BytesIO()
    figure.savefig(content, format="png", metadata={"Software": None})
    return content.getvalue()


def _importances(axes: Any, moved: Mapping[str, float]) -> None:
    top = sorted(moved.items(), key=lambda item: item[1])[-20:]
    axes.barh([name for name, _ in top], [share for _, share in top])
    axes.set(title="What each feature moves the raw score by", xlabel="mean |SHAP value|")


def _roc(axes: Any, targets: Floats, outputs: Floats, weights: Floats) -> None:
    order = np.argsort(-outputs, kind="stable")
    hit, missed = weights[order] * targets[order], weights[order] * (1.0 - targets[order])
    axes.plot(np.cumsum(missed) / max(missed.sum(), 1e-12), np.cumsum(hit) / max(hit.sum(), 1e-12))
    axes.plot([0, 1], [0, 1], linestyle=":", color="grey")
    axes.set(title="ROC on the holdout", xlabel="false positives", ylabel="true positives")


def _reliability(axes: Any, right: Floats, confidence: Floats, weights: Floats) -> None:
    place = np.clip((confidence * _BINS).astype(np.intp), 0, _BINS - 1)
    mass = np.bincount(place, weights=weights, minlength=_BINS)
    filled = mass > 0.0
    said = np.bincount(place, weights=weights * confidence, minlength=_BINS)[filled] / mass[filled]
    was = np.bincount(place, weights=weights * right, minlength=_BINS)[filled] / mass[filled]
    axes.plot(said, was, marker="o")
    axes.plot([0, 1], [0, 1], linestyle=":", color="grey")
    axes.set(title="Reliability on the holdout", xlabel="probability given", ylabel="share that was true")


def _answers(axes: Any, targets: Floats, outputs: Floats) -> None:
    axes.scatter(targets[:5000], outputs[:5000], s=4, alpha=0.4)
    ends = [float(targets.min()), float(targets.max())]
    axes.plot(ends, ends, linestyle=":", color="grey")
    axes.set(title="Answers on the holdout", xlabel="true", ylabel="answered")
