"""How good predictions are: weighted metrics, each as one number where the gain of a model has a sign.

`outputs` are a booster's: for two classes the probability of the positive, shape (n,); for more of each class,
shape (n, classes); for a regression the number. `targets` are as LightGBM is trained on.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Metric = Callable[[Floats, Floats, Floats], float]
SMALLER_IS_BETTER = frozenset({"log_loss", "rmse", "mae"})
RELATIVE = frozenset({"rmse", "mae"})
_TINY = 1e-15


def auc(targets: Floats, outputs: Floats, weights: Floats) -> float:
    """Area under the ROC curve: the weighted Mann-Whitney statistic, ties count half. NaN with one class only."""
    order = np.argsort(outputs, kind="stable")
    return auc_sorted(targets[order], tie_starts(outputs[order]), weights[order])


def auc_sorted(targets: Floats, starts: NDArray[np.intp], weights: Floats) -> float:
    """`auc` of rows in the order of their outputs, where a run of equal outputs begins at each of `starts`."""
    positive = np.add.reduceat(weights * targets, starts)
    negative = np.add.reduceat(weights * (1.0 - targets), starts)
    pairs = positive.sum() * negative.sum()
    below = np.cumsum(negative) - negative
    return float((positive * (below + 0.5 * negative)).sum() / pairs) if pairs > 0.0 else float("nan")


def tie_starts(ordered: Floats) -> NDArray[np.intp]:
    """Where each run of equal values begins."""
    return np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))


def per_row(metric: str, targets: Floats, outputs: Floats) -> Floats:
    """What each row adds to the mean that `metric` is (of squares for rmse). Not for auc."""
    match metric:
        case "accuracy":
            chosen = (outputs >= 0.5).astype(np.float64) if outputs.ndim == 1 else outputs.argmax(axis=1)
            return np.asarray(chosen == targets, dtype=np.float64)
        case "log_loss":
            return -np.log(np.clip(_probability(targets, outputs), _TINY, 1.0))
        case "rmse":
            return (targets - outputs) ** 2
        case "mae":
            return np.abs(targets - outputs)
    raise ValueError(f"{metric} is not a mean over rows")


def measure(metric: str, targets: Floats, outputs: Floats, weights: Floats) -> float:
    """The metric itself, in its own direction and unit; NaN where it is not defined."""
    if not len(targets) or not weights.sum() > 0.0:
        return float("nan")
    if metric == "auc":
        return auc(targets, outputs, weights)
    mean = float(np.average(per_row(metric, targets, outputs), weights=weights))
    return float(np.sqrt(mean)) if metric == "rmse" else mean


def gain(metric: str, champion: float, candidate: float) -> float:
    """By how much the candidate is better; below zero it is worse."""
    return champion - candidate if metric in SMALLER_IS_BETTER else candidate - champion


def all_metrics(task: str) -> tuple[str, ...]:
    """The metrics that are reported for a task."""
    return {"binary": ("auc", "accuracy", "log_loss"), "multiclass": ("accuracy", "log_loss")}.get(
        task, ("rmse", "mae")
    )


def _probability(targets: Floats, outputs: Floats) -> Floats:
    """Probability that was given to what turned out true."""
    if outputs.ndim == 1:
        return np.where(targets == 1.0, outputs, 1.0 - outputs)
    probability: Floats = outputs[np.arange(len(targets)), targets.astype(np.intp)]
    return probability
