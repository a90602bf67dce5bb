"""What a model's raw numbers mean: targets for training, labels and scores for answers."""

from collections.abc import Sequence

import numpy as np

from flywheel_schemas.spec import ModelSpec


class Answers:
    """Labels, targets and scores of one model spec.

    A binary model is trained on 1 for the positive class, so LightGBM's one output is its
    probability; a multiclass model on the class's position in `spec.classes`; a regression on the number.
    """

    def __init__(self, spec: ModelSpec) -> None:
        self.task = spec.task
        self.classes = spec.classes
        self._outputs = spec.classes
        if spec.task == "binary":
            negative = next(value for value in spec.classes if value != spec.label.positive)
            self._outputs = (negative, str(spec.label.positive))
        self._codes = {value: float(code) for code, value in enumerate(self._outputs)}

    @property
    def width(self) -> int:
        """How many numbers the booster gives per row."""
        return len(self.classes) if self.task == "multiclass" else 1

    def targets(self, labels: Sequence[str | float]) -> np.ndarray:
        """What LightGBM is trained on, as float64. Raises KeyError for a label that is no class."""
        if self.task == "regression":
            return np.array(labels, dtype=np.float64)
        return np.array([self._codes[str(label)] for label in labels], dtype=np.float64)

    def decide(self, raw: Sequence[float]) -> tuple[str | float, dict[str, float] | None]:
        """Label and scores of one row of `width` outputs. The likeliest class wins; at one half the positive one."""
        if self.task == "regression":
            return raw[0], None
        if self.task == "binary":
            negative, positive = self._outputs
            return (positive if raw[0] >= 0.5 else negative), {negative: 1.0 - raw[0], positive: raw[0]}
        best = max(range(len(raw)), key=raw.__getitem__)
        return self._outputs[best], dict(zip(self._outputs, raw, strict=True))
