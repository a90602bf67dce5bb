from typing import Any

import pytest

from features import FeatureSchema
from inference.application.answer import Answer
from inference.entrypoints import tensors

from .conftest import make_spec

SPEC = make_spec()
SCHEMA = FeatureSchema(SPEC)
CARRIER = {"name": "carrier", "datatype": "BYTES", "shape": [2], "data": ["UA", "B6"]}
NUMBERS = make_spec(features=[{"name": "x", "type": "number"}, {"name": "y", "type": "number"}])


def test_one_input_per_feature_becomes_rows_and_an_input_left_out_is_missing() -> None:
    distance = {"name": "distance", "datatype": "INT32", "shape": [2, 1], "data": [[5], [None]]}
    rows = tensors.rows_of([CARRIER, distance], SCHEMA)
    assert SCHEMA.numbers(rows[0])[:2] == [0.0, 5.0]
    assert SCHEMA.rows(rows)[1, 0] == 2.0


@pytest.mark.parametrize("data", [[1, 2.5, 3, 4], [[1, 2.5], [3, 4]]])
def test_a_model_of_numbers_takes_one_matrix(data: list[Any]) -> None:
    schema = FeatureSchema(NUMBERS)
    tensor = {"name": "features", "datatype": "FP64", "shape": [2, 2], "data": data}
    assert schema.rows(tensors.rows_of([tensor], schema)).tolist() == [[1.0, 2.5], [3.0, 4.0]]


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        (None, "list of tensors"),
        ([], "list of tensors"),
        ([{"datatype": "FP64"}], "name"),
        ([CARRIER, CARRIER], "twice"),
        ([{**CARRIER, "shape": [3]}], "asks for 3"),
        ([{**CARRIER, "shape": [-2]}], "needs a shape"),
        ([{**CARRIER, "shape": [1, 2]}], "one value per row"),
        ([{**CARRIER, "data": ["UA", 3]}], "value 1"),
        ([{**CARRIER, "datatype": "STRING"}], "BYTES"),
        ([{**CARRIER, "data": ["UA", "ZZ"]}], "row 1: /carrier"),
        ([CARRIER, {"name": "hour", "datatype": "FP64", "shape": [1], "data": [1]}], "same number"),
        ([CARRIER, {"name": "hour", "datatype": "FP64", "shape": [2], "data": [1, True]}], "bool"),
        ([{"name": "hour", "datatype": "FP64", "shape": [1], "data": [1]}], "carrier is required"),
        ([{"name": "features", "datatype": "FP64", "shape": [1, 3], "data": [1, 2, 3]}], "categories"),
        ([{**CARRIER, "shape": [0], "data": []}], "1 to 10,000"),
    ],
)
def test_what_does_not_fit_is_named(inputs: object, words: str) -> None:
    with pytest.raises(tensors.InputError, match=words):
        tensors.rows_of(inputs, SCHEMA)


def test_outputs_are_those_of_the_metadata_or_those_asked_for() -> None:
    answers = [Answer("id", "token", True, "late", {"on_time": 0.25, "late": 0.75}, "1", "champion")]
    found = {tensor["name"]: tensor for tensor in tensors.outputs_of(answers, SPEC, None)}
    assert list(found) == [tensor["name"] for tensor in tensors.output_metadata(SPEC)]
    assert found["scores"]["shape"] == [1, 2]
    assert found["scores"]["data"] == [0.75, 0.25]  # in the order of the spec's classes
    assert found["feedback_requested"]["data"] == [True]
    assert [t["name"] for t in tensors.outputs_of(answers, SPEC, [{"name": "label"}])] == ["label"]
    with pytest.raises(tensors.InputError, match="logits"):
        tensors.outputs_of(answers, SPEC, [{"name": "logits"}])
