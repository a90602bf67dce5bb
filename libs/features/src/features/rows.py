"""The msgspec type that decodes one instance, as strict as the spec."""

import keyword
import math
from typing import Annotated, Any, Literal

import msgspec

from flywheel_schemas.spec import FeatureSpec, ModelSpec

# RFC 3339 with its offset from UTC, to the microsecond.
TIMESTAMP = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
        r"(\.[0-9]{1,6})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$",
        max_length=32,
    ),
]
MAX_CATEGORY_CHARS = 256
UNSEEN_CATEGORY = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_CATEGORY_CHARS)]


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
    if feature.type == "timestamp":
        return TIMESTAMP
    if feature.type == "category":
        return Literal[feature.values] if feature.unseen == "refuse" else UNSEEN_CATEGORY
    low, high = (end if math.isfinite(end) else None for end in feature.range or (-math.inf, math.inf))
    return Annotated[float, msgspec.Meta(ge=low, le=high)]
