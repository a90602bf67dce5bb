"""How much each row teaches: what it stands for, lowered by its age and set right by its class.

The gates never use these: they judge with what each row stands for alone.
"""

import numpy as np
import polars as pl

from flywheel_schemas.spec import ModelSpec
from trainer.domain.metrics import Floats


def learning_weights(rows: pl.DataFrame, spec: ModelSpec) -> Floats:
    """One weight per row of `rows` (`label`, `_weight`, `occurred_at`): evidence x recency x class."""
    weights = rows["_weight"].to_numpy().astype(np.float64)
    if spec.training.half_life:
        weights = weights * _recency(rows["occurred_at"], spec.training.half_life.total_seconds())
    if spec.training.class_weights:
        weights = weights * _of_class(rows["label"], weights, spec)
    return np.asarray(weights, dtype=np.float64)


def _recency(times: pl.Series, half_life_s: float) -> Floats:
    """0.5 to the power of age / half-life, the newest row being of age 0; a row without a time is not lowered."""
    moments = times.dt.epoch("us").to_numpy().astype(np.float64)
    if np.isnan(moments).all():
        return np.ones(len(moments))
    age_s = np.nan_to_num((np.nanmax(moments) - moments) / 1e6)
    return np.asarray(0.5 ** (age_s / max(half_life_s, 1e-6)), dtype=np.float64)


def _of_class(labels: pl.Series, weights: Floats, spec: ModelSpec) -> Floats:
    """The factor of each row's class; balanced: all weight / (classes x the class's weight), as scikit-learn has it."""
    wanted = spec.training.class_weights
    if isinstance(wanted, dict):
        factors = {name: float(factor) for name, factor in wanted.items()}
    else:
        held = {name: float(weights[(labels == name).to_numpy()].sum()) for name in spec.classes}
        present = [name for name, weight in held.items() if weight > 0.0]
        factors = {name: float(weights.sum()) / (len(present) * held[name]) for name in present}
    return labels.replace_strict(factors, default=1.0, return_dtype=pl.Float64).to_numpy()
