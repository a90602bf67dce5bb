import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features import FeatureSchema
from inference.application.answer import Answer
from inference.entrypoints.open_inference import json_form, model
from inference.entrypoints.open_inference.infer import Asked, Replied
from inference.entrypoints.open_inference.tensors import InputError, Tensor, from_bytes, to_bytes

from .conftest import make_spec

SPEC = make_spec()
SCHEMA = FeatureSchema(SPEC)
CARRIER = {"name": "carrier", "datatype": "BYTES", "shape": [2], "data": ["UA", "B6"]}
NUMBERS = make_spec(features=[{"name": "x", "type": "number"}, {"name": "y", "type": "number"}])
ANSWERS = [Answer("id", "token", True, "late", {"on_time": 0.25, "late": 0.75}, "1", "champion")]


def asked(inputs: object, **more: object) -> Asked:
    return json_form.read(json.dumps({"inputs": inputs, **more}).encode(), None)


def test_one_input_per_feature_becomes_rows_and_an_input_left_out_is_missing() -> None:
    distance = {"name": "distance", "datatype": "INT32", "shape": [2, 1], "data": [[5], [None]]}
    rows = model.rows_of(asked([CARRIER, distance]).tensors, SCHEMA)
    assert SCHEMA.numbers(rows[0])[:2] == [0.0, 5.0]
    assert SCHEMA.rows(rows)[1, 0] == 2.0


@pytest.mark.parametrize("data", [[1, 2.5, 3, 4], [[1, 2.5], [3, 4]]])
def test_a_model_of_numbers_takes_one_matrix(data: list[Any]) -> None:
    schema = FeatureSchema(NUMBERS)
    tensor = {"name": "features", "datatype": "FP64", "shape": [2, 2], "data": data}
    assert schema.rows(model.rows_of(asked([tensor]).tensors, schema)).tolist() == [[1.0, 2.5], [3.0, 4.0]]


def test_truth_values_are_0_and_1() -> None:
    schema = FeatureSchema(NUMBERS)
    inputs = [
        {"name": "x", "datatype": "BOOL", "shape": [2], "data": [True, False]},
        {"name": "y", "datatype": "FP32", "shape": [2], "data": [0.5, 2]},
    ]
    assert schema.rows(model.rows_of(asked(inputs).tensors, schema)).tolist() == [[1.0, 0.5], [0.0, 2.0]]


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
        ([CARRIER, {"name": "hour", "datatype": "BOOL", "shape": [2], "data": [True, 1]}], "int"),
        ([{"name": "hour", "datatype": "FP64", "shape": [1], "data": [1]}], "carrier is required"),
        ([{"name": "features", "datatype": "FP64", "shape": [1, 3], "data": [1, 2, 3]}], "categories"),
        ([{**CARRIER, "shape": [0], "data": []}], "1 to 10,000"),
        ([{**CARRIER, "parameters": {"binary_data_size": 4}}], "0 follow the JSON"),
    ],
)
def test_what_does_not_fit_is_named(inputs: object, words: str) -> None:
    with pytest.raises(InputError, match=words):
        model.rows_of(asked(inputs).tensors, SCHEMA)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"\x02\x00", "within the length"),
        (b"\x05\x00\x00\x00UA", "within an element"),
        (b"\x01\x00\x00\x00\xff", "not UTF-8"),
        (b"\x02\x00\x00\x00UA", "holds 1 values"),
    ],
)
def test_binary_text_that_is_cut_short_or_no_text_is_refused(raw: bytes, words: str) -> None:
    with pytest.raises(InputError, match=words):
        from_bytes("carrier", "BYTES", (2,), raw)


@pytest.mark.parametrize("length", ["-1", "9999", "x", ""])
def test_a_json_length_that_cannot_be_is_refused(length: str) -> None:
    with pytest.raises(InputError, match="Inference-Header-Content-Length"):
        json_form.read(b"{}", length)


def test_bytes_that_belong_to_no_input_are_refused() -> None:
    raw = json.dumps({"inputs": [CARRIER]}).encode()
    with pytest.raises(InputError, match="belong to no input"):
        json_form.read(raw + b"extra", str(len(raw)))


@given(st.lists(st.floats(allow_nan=False), min_size=1), st.lists(st.text(min_size=1), min_size=1))
def test_the_binary_form_gives_back_what_was_written(numbers: list[float], texts: list[str]) -> None:
    for datatype, values in (("FP64", numbers), ("BYTES", [text for text in texts if text.isprintable()])):
        tensor = Tensor("x", datatype, (len(values),), values)
        assert list(from_bytes("x", datatype, (len(values),), to_bytes(tensor)).values) == values


def test_in_the_binary_form_nan_and_empty_text_stand_for_what_is_missing() -> None:
    numbers = from_bytes("x", "FP32", (2,), np.array([math.nan, 1.5], "<f4").tobytes())
    assert list(numbers.values) == [None, 1.5]
    assert list(from_bytes("x", "BYTES", (1,), b"\0\0\0\0").values) == [None]


def test_outputs_are_those_of_the_metadata_or_those_asked_for() -> None:
    found = {tensor.name: tensor for tensor in model.tensors_of(ANSWERS, SPEC, (), explained=False)}
    assert list(found) == [name for name, _, _ in model.outputs(SPEC)]
    assert found["scores"].shape == (1, 2)
    assert found["scores"].values == [0.75, 0.25]  # in the order of the spec's classes
    assert found["feedback_requested"].values == [True]
    assert [tensor.name for tensor in model.tensors_of(ANSWERS, SPEC, ["label"], explained=False)] == ["label"]
    with pytest.raises(InputError, match="logits"):
        model.tensors_of(ANSWERS, SPEC, ["logits"], explained=False)


def test_each_output_comes_in_the_form_it_was_asked_for() -> None:
    reply = Replied("flights", "1", model.tensors_of(ANSWERS, SPEC, ["label", "scores"], explained=False))
    wanted = [{"name": "label", "parameters": {"binary_data": False}}, {"name": "scores"}]
    request = asked([CARRIER], outputs=wanted, parameters={"binary_data_output": True}, id="7")
    raw, length = json_form.write(reply, request)
    assert length is not None
    label, scores = json.loads(raw[:length])["outputs"]
    assert label["data"] == ["late"]
    assert scores["parameters"] == {"binary_data_size": 16}
    assert np.frombuffer(raw[length:], "<f8").tolist() == [0.75, 0.25]
