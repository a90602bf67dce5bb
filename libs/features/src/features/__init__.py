"""One function from instances to the numbers a model sees, the same at training and at serving."""

from features.outputs import Answers
from features.schema import FeatureSchema, FieldProblem

__all__ = ["Answers", "FeatureSchema", "FieldProblem"]
