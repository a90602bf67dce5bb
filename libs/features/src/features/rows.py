"""The msgspec type that decodes one instance, as strict as the spec."""

import keyword
import math
from typing import Annotated, Any, Literal

import msgspec

from flywheel_schemas.spec import FeatureSpec, ModelSpec


def row_struct(spec: ModelSpec) -> type[msgspec.Struct]:
    """A Struct with one attribute per feature, named like it; what an instance may leave out is None."""
    fields = [
        (feature.name, _field_type(feature)) if feature.required else (feature.name, _field_type(feature) | None, None)
        for feature in spec.features
    ]
    return msgspec.defstruct(
        f"{spec.name.replace('-', '_')}_row" if not keyword.iskeyword(spec.name) else "row",
        fields,
        kw_only=True,
        forbid_unknown_fields=True,
        omit_defaults=True,
        gc=False,
    )


def _field_type(feature: FeatureSpec) -> Any:
    if feature.type == "category":
        return Literal[feature.values]
    low, high = (end if math.isfinite(end) else None for end in feature.range or (-math.inf, math.inf))
    return Annotated[float, msgspec.Meta(ge=low, le=high)]
