"""Calibration: probabilities that are as often true as they say.

Fitted on raw scores s of rows that the model has not seen, as a s + b: for two classes Platt's scaling (1999), for more
vector scaling with one temperature (Guo, Pleiss, Sun and Weinberger 2017). Raw scores are sums over trees, so the
result goes into the leaves of the model itself and costs nothing at serving.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_expit, log_softmax, softmax

from trainer.domain.metrics import Floats

BINS = 10
_DOUBT = 1.645
_SCALES = (0.05, 20.0)
_SHIFTS = (-20.0, 20.0)


@dataclass(frozen=True, slots=True)
class Calibration:
    """Raw scores times `scale`, plus `shifts`: one number for each output of the model."""

    scale: float
    shifts: tuple[float, ...]


def fit(raw: Floats, targets: Floats, weights: Floats) -> Calibration | None:
    """The scale and shifts of least weighted log loss on raw scores of shape (rows,) or (rows, classes).

    None where the rows hold one class only: nothing can be learned of the other.
    """
    if len(np.unique(targets)) < 2 or not weights.sum() > 0.0:
        return None
    outputs = 1 if raw.ndim == 1 else raw.shape[1]
    loss = _binary_loss if outputs == 1 else _multiclass_loss
    told = raw, targets, weights / weights.sum()
    bounds = [_SCALES, *[_SHIFTS] * outputs]
    found = minimize(loss, np.array([1.0, *[0.0] * outputs]), args=told, jac=True, method="L-BFGS-B", bounds=bounds).x
    return Calibration(float(found[0]), tuple(float(shift) for shift in found[1:]))


@dataclass(frozen=True, slots=True)
class Miscalibration:
    """Expected calibration error, and what of it is beyond doubt (one-sided 95 % in each bin)."""

    error: float
    surely_above: float
    rows: int


def miscalibration(targets: Floats, outputs: Floats, weights: Floats, *, probabilities: bool = True) -> Miscalibration:
    """How far what was said lies from what was true, by tenths of what was said.

    For classes: of the likeliest class (two classes: of the positive), the expected calibration error with bins of
    equal weight (Naeini, Cooper and Hauskrecht 2015; Nixon et al. 2019). For a regression (no `probabilities`) the same
    of the answers. What chance does to a bin follows from the probabilities said (Spiegelhalter 1986), since a few rows
    that all came out alike look as if they left no doubt; for a regression from the spread of all errors.
    """
    said, true = _said_and_true(targets, outputs)
    spread = said * (1.0 - said) if probabilities else np.full(len(said), np.cov(true - said, aweights=weights, ddof=0))
    order = np.argsort(said, kind="stable")
    said, true, spread, weights = said[order], true[order], spread[order], weights[order]
    middle = np.cumsum(weights) - 0.5 * weights
    place = np.clip((middle / weights.sum() * BINS).astype(np.intp), 0, BINS - 1)
    held = np.maximum(np.bincount(place, weights, BINS), 1e-300)
    gap = np.abs(np.bincount(place, weights * (said - true), BINS)) / held
    doubt = _DOUBT * np.sqrt(np.bincount(place, weights**2 * spread, BINS)) / held
    share = held / held.sum()
    surely = float((share * np.maximum(gap - doubt, 0.0)).sum())
    return Miscalibration(float((share * gap).sum()), surely, len(targets))


def _binary_loss(free: Floats, raw: Floats, targets: Floats, share: Floats) -> tuple[float, Floats]:
    scores = free[0] * raw + free[1]
    lost = -(share * (targets * log_expit(scores) + (1.0 - targets) * log_expit(-scores))).sum()
    slope = share * (expit(scores) - targets)
    return float(lost), np.array([(slope * raw).sum(), slope.sum()])


def _multiclass_loss(free: Floats, raw: Floats, targets: Floats, share: Floats) -> tuple[float, Floats]:
    scores = free[0] * raw + free[1:]
    rows, codes = np.arange(len(targets)), targets.astype(np.intp)
    lost = -(share * log_softmax(scores, axis=1)[rows, codes]).sum()
    slope = softmax(scores, axis=1)
    slope[rows, codes] -= 1.0
    slope *= share[:, None]
    return float(lost), np.array([(slope * raw).sum(), *slope.sum(axis=0)])


def _said_and_true(targets: Floats, outputs: Floats) -> tuple[Floats, Floats]:
    if outputs.ndim == 1:
        return outputs, targets
    return outputs.max(axis=1), np.asarray(outputs.argmax(axis=1) == targets, dtype=np.float64)
