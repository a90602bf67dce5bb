import uuid
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from flywheel_schemas.spec import ModelSpec, parse_spec
from lake import Lake, LakeSettings, schema

SPEC = """
name: fruit
task: binary
label: {name: ripe, values: ["no", "yes"], positive: "yes"}
features:
  - {name: colour, type: category, values: [red, green], required: true}
  - {name: weight, type: number, range: [0, 1000]}
"""


@pytest.fixture
def spec() -> ModelSpec:
    return parse_spec(SPEC)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(LakeSettings(LAKE_URI=tmp_path.as_uri()))


@pytest.fixture
def rows(spec: ModelSpec):  # type: ignore[no-untyped-def]
    def make(first: int, last: int, partition: int = 0, label: str | None = "yes") -> pa.Table:
        n = last - first + 1
        values = {name: [None] * n for name in schema.feedback(spec).names}
        values |= {
            "event_id": [str(uuid.uuid5(uuid.NAMESPACE_URL, f"{partition}/{i}")) for i in range(first, last + 1)],
            "label": [label] * n,
            "kafka_partition": [partition] * n,
            "kafka_offset": list(range(first, last + 1)),
            "received_at": [datetime(2026, 3, 1, tzinfo=UTC)] * n,
            "event_date": [date(2026, 3, 1)] * n,
        }
        return pa.table(values, schema=schema.feedback(spec))

    return make
