"""Training and serving see the same numbers: batch and online features agree to the last bit."""

import json
import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from features import FeatureSchema
from flywheel_schemas.spec import ModelSpec, SpecError, parse_spec

ROWS = 10_000
HEAD = """
name: m
task: binary
label: {name: y, values: [a, b], positive: b}
features:
"""
EVERYTHING = parse_spec(
    HEAD
    + """
  - {name: sold_at, type: timestamp, derive: [hour, weekday, day, month, day_of_year]}
  - {name: colour, type: category, values: [red, blue], unseen: missing}
  - {name: shape, type: category, values: [round, "3"], required: true}
  - {name: size, type: number, clip: [-10, 10], missing: -1, monotone: increasing}
  - {name: width, type: number, range: [-1.0e+300, 1.0e+300], clip: [0, .inf]}
  - {name: plain, type: number}
"""
)
PLAIN = parse_spec(
    HEAD
    + """
  - {name: shape, type: category, values: [round, "3"], required: true}
  - {name: size, type: number}
"""
)


def instances(spec: ModelSpec) -> list[dict[str, Any]]:
    random = np.random.default_rng(11)

    def value(name: str) -> Any:
        if random.random() < 0.1 and name != "shape":
            return None
        if name == "sold_at":
            offset = timezone(timedelta(minutes=int(random.integers(-1400, 1400))))
            moment = datetime.fromtimestamp(random.integers(-(10**10), 10**11) + random.random(), offset)
            return moment.isoformat().replace("+00:00", "Z")
        if name == "colour":
            return str(random.choice(["red", "blue", "green"]))
        if name == "shape":
            return str(random.choice(["round", "3"]))
        return random.choice([-0.0, 0.0, 5e-324, 1e300, 7, *(random.normal(size=4) * 12).tolist()]).item()

    return [{name: value(name) for name in spec.feature_names} for _ in range(ROWS)]


@pytest.mark.parametrize("spec", [EVERYTHING, PLAIN], ids=["everything", "plain"])
def test_a_row_online_is_the_row_of_the_batch_bit_for_bit(spec: ModelSpec) -> None:
    schema, rows = FeatureSchema(spec), instances(spec)
    decoded = msgspec.json.decode(json.dumps(rows), type=list[schema.row_type])  # type: ignore[name-defined]  # made at run time
    batch = schema.matrix({name: pa.array([row[name] for row in rows]) for name in spec.feature_names})
    online = np.array([schema.numbers(row) for row in decoded])
    assert batch.shape == (ROWS, len(schema.columns))
    assert np.array_equal(batch.view(np.uint64), online.view(np.uint64))
    assert np.array_equal(schema.rows(decoded).view(np.uint64), online.view(np.uint64))


def test_what_the_spec_declares_is_what_the_model_sees() -> None:
    schema = FeatureSchema(EVERYTHING)
    assert schema.columns[:6] == (
        *(f"sold_at_{part}" for part in ("hour", "weekday", "day", "month", "day_of_year")),
        "colour",
    )
    given = {"sold_at": "2026-03-01T23:30:00-05:00", "colour": "mauve", "shape": "3", "size": 99, "width": -3}
    numbers = schema.numbers(msgspec.convert(given, schema.row_type))
    assert numbers[:5] == [4.0, 1.0, 2.0, 3.0, 61.0]  # 04:30 on Monday, 2 March 2026, in UTC
    assert math.isnan(numbers[5])
    assert numbers[6:9] == [1.0, 10.0, 0.0]
    assert schema.numbers(msgspec.convert({"shape": "round"}, schema.row_type))[7] == -1.0


@pytest.mark.parametrize("moment", ["2026-03-01", "2026-03-01T08:00:00", "2026-13-01T08:00:00Z", "noon", 5, ""])
def test_a_timestamp_that_is_no_moment_is_refused(moment: object) -> None:
    schema = FeatureSchema(EVERYTHING)
    given = {"sold_at": moment, "shape": "3"}
    [problem] = schema.violations(given)
    assert (problem.pointer, "2026-03-01T08:00:00Z" in problem.detail) == ("/sold_at", True)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(given, schema.row_type)


def test_a_day_that_does_not_exist_counts_as_missing() -> None:
    schema = FeatureSchema(EVERYTHING)
    given = {"sold_at": "2026-02-30T08:00:00Z", "shape": "3"}
    assert schema.violations(given) == []
    assert all(math.isnan(number) for number in schema.numbers(msgspec.convert(given, schema.row_type))[:5])


def test_the_example_of_a_schema_is_an_instance() -> None:
    schema = FeatureSchema(EVERYTHING)
    assert schema.violations(schema.example()) == []
    assert datetime.fromisoformat(schema.example()["sold_at"]) == datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("feature", "words"),
    [
        ("{name: t, type: timestamp}", "needs derive"),
        ("{name: t, type: number, unseen: missing}", "number t has no unseen"),
        ("{name: t, type: category, values: [a], clip: [0, 1]}", "category t has no clip"),
        ("{name: t, type: timestamp, derive: [hour, hour]}", "each value once"),
        ("{name: t, type: timestamp, derive: [hour]}\n  - {name: t_hour, type: number}", "derived from a timestamp"),
    ],
)
def test_a_declaration_that_does_not_fit_is_named(feature: str, words: str) -> None:
    with pytest.raises(SpecError, match=words):
        parse_spec(f"{HEAD}  - {feature}\n")
