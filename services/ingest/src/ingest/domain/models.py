"""A model as feedback sees it: which labels and features it has."""

from dataclasses import dataclass

import msgspec

from features.schema import FeatureSchema
from flywheel_schemas.spec import ModelSpec
from ingest.domain.refusals import Violation
from ingest.domain.submission import FeatureValues

_MAX_LISTED = 20
_JSON_NAMES = {
    bool: "a truth value",
    int: "a number",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "an object",
}


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A spec, ready to check feedback against."""

    spec: ModelSpec
    schema: FeatureSchema
    classes: frozenset[str]

    @classmethod
    def of(cls, spec: ModelSpec) -> "KnownModel":
        """The model that `spec` describes."""
        return cls(spec, FeatureSchema(spec), frozenset(spec.classes))

    def label_violations(self, label: object) -> list[Violation]:
        """What is wrong with a label; empty when the model could give this answer."""
        if self.classes:
            if isinstance(label, str) and label in self.classes:
                return []
            return [Violation("/label", self._label_wanted(label))]
        if isinstance(label, bool) or not isinstance(label, int | float):
            return [Violation("/label", f"{self.spec.label.name} is a number; this is {json_name(label)}")]
        low_high = self.spec.label.range
        if low_high is not None and not low_high[0] <= label <= low_high[1]:
            return [Violation("/label", f"{label:g} is out of range; allowed: {low_high[0]:g} to {low_high[1]:g}")]
        return []

    def feature_violations(self, features: FeatureValues) -> list[Violation]:
        """What is wrong with the features; empty when the model could be asked with them."""
        try:
            msgspec.convert(features, self.schema.row_type)
        except msgspec.ValidationError:
            return [Violation(f"/features{each.pointer}", each.detail) for each in self.schema.violations(features)]
        return []

    def _label_wanted(self, label: object) -> str:
        allowed = ", ".join(self.spec.classes[:_MAX_LISTED])
        if len(self.spec.classes) > _MAX_LISTED:
            allowed += f" and {len(self.spec.classes) - _MAX_LISTED} more"
        found = repr(label[:64]) if isinstance(label, str) else json_name(label)
        return f"{found} is not a value of {self.spec.label.name}; allowed, as text: {allowed}"


def json_name(value: object) -> str:
    """What JSON calls a value of this type, such as `a number`."""
    return _JSON_NAMES.get(type(value), "null")
