"""NVIDIA's published clients, unchanged, against a running service: over HTTP and over gRPC."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from tritonclient.grpc import service_pb2
from tritonclient.utils import InferenceServerException

from http_api import keys
from tests.contract.open_inference_server import MODEL, OLDER, VERSION, Server, serving
from tests.http import http

INPUTS = {
    "carrier": ("BYTES", np.array([b"UA", b"B6", b"AA"], dtype=np.object_)),
    "distance": ("FP32", np.array([10.5, 300, np.nan], dtype=np.float32)),
    "night": ("BOOL", np.array([True, False, True])),
}
INSTANCES = [
    {"carrier": "UA", "distance": 10.5, "night": 1},
    {"carrier": "B6", "distance": 300, "night": 0},
    {"carrier": "AA", "night": 1},
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("inference")) as running:
        yield running


@pytest.fixture(params=["http", "grpc"])
def triton(server: Server, request: pytest.FixtureRequest) -> tuple[Any, Any]:
    """The client's module, and a client of it."""
    if request.param == "http":
        return triton_http, triton_http.InferenceServerClient(server.http)
    return triton_grpc, triton_grpc.InferenceServerClient(server.grpc)


def inputs(module: Any, **form: Any) -> list[Any]:
    made = []
    for name, (datatype, values) in INPUTS.items():
        tensor = module.InferInput(name, values.shape, datatype)
        tensor.set_data_from_numpy(values, **form)
        made.append(tensor)
    return made


def test_health_and_metadata(triton: tuple[Any, Any]) -> None:
    module, client = triton
    plain = {"as_json": True} if module is triton_grpc else {}
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(MODEL)
    assert client.is_model_ready(MODEL, VERSION)
    described = client.get_server_metadata(**plain)
    assert (described["name"], described["extensions"]) == ("flywheel", ["binary_tensor_data"])
    about = client.get_model_metadata(MODEL, **plain)
    assert (about["name"], about["versions"], about["platform"]) == (MODEL, [VERSION], "lightgbm")
    assert [(t["name"], t["datatype"]) for t in about["inputs"]] == [
        ("carrier", "BYTES"),
        ("distance", "FP64"),
        ("night", "FP64"),
    ]
    assert [t["name"] for t in about["outputs"]] == [
        "label",
        "scores",
        "prediction_id",
        "feedback_token",
        "feedback_requested",
    ]


def test_rows_are_answered_as_predict_answers_them(server: Server, triton: tuple[Any, Any]) -> None:
    module, client = triton
    result = client.infer(MODEL, inputs(module), request_id="42", parameters={"user_id": "ada"})
    predicted = http.post(f"{server.url}/v1/models/{MODEL}/predict", json={"instances": INSTANCES}).json()
    answers = predicted["predictions"]
    assert [label.decode() for label in result.as_numpy("label")] == [answer["label"] for answer in answers]
    expected = [[answer["scores"][name] for name in ("on_time", "late")] for answer in answers]
    assert result.as_numpy("scores").tolist() == expected
    assert result.as_numpy("scores").dtype == np.float64
    assert len(set(result.as_numpy("prediction_id"))) == 3
    assert result.as_numpy("feedback_requested").dtype == np.bool_
    response = result.get_response(**({"as_json": True} if module is triton_grpc else {}))
    assert (response["id"], response["model_name"], response["model_version"]) == ("42", MODEL, VERSION)


def test_a_version_that_does_not_serve_is_loaded_for_whoever_asks(server: Server, triton: tuple[Any, Any]) -> None:
    module, client = triton
    result = client.infer(MODEL, inputs(module), OLDER)
    response = result.get_response(**({"as_json": True} if module is triton_grpc else {}))
    assert response["model_version"] == OLDER
    assert set(result.as_numpy("feedback_token")) == {b""}
    asked = f"{server.url}/v1/models/{MODEL}/predict?version={OLDER}&explain=true"
    answers = http.post(asked, json={"instances": INSTANCES}).json()["predictions"]
    assert {(answer["model_version"], answer["variant"]) for answer in answers} == {(OLDER, "none")}
    assert set(answers[0]["contributions"]) == {"carrier", "distance", "night"}
    assert [label.decode() for label in result.as_numpy("label")] == [answer["label"] for answer in answers]


def test_a_named_version_and_chosen_outputs_with_contributions(triton: tuple[Any, Any]) -> None:
    module, client = triton
    outputs = [module.InferRequestedOutput(name) for name in ("scores", "contributions", "base_value")]
    result = client.infer(MODEL, inputs(module), VERSION, outputs, parameters={"explain": True})
    assert result.as_numpy("label") is None
    raw = result.as_numpy("contributions").sum(axis=1) + result.as_numpy("base_value")
    assert 1 / (1 + np.exp(-raw)) == pytest.approx(result.as_numpy("scores")[:, 1])


def test_http_takes_and_gives_each_tensor_as_json_or_binary(server: Server) -> None:
    client = triton_http.InferenceServerClient(server.http)
    outputs = [
        triton_http.InferRequestedOutput("label", binary_data=False),
        triton_http.InferRequestedOutput("scores", binary_data=True),
    ]
    values = np.array([1.0, 2.0, 3.0])
    plain = triton_http.InferInput("distance", [3], "FP64")
    plain.set_data_from_numpy(values, binary_data=False)
    carrier = inputs(triton_http)[0]
    result = client.infer(MODEL, [carrier, plain], outputs=outputs)
    assert result.as_numpy("label").tolist() == ["on_time"] * 3
    assert result.as_numpy("scores").shape == (3, 2)


@pytest.mark.parametrize("datatype", ["INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64", "FP64"])
def test_numbers_of_any_width(triton: tuple[Any, Any], datatype: str) -> None:
    module, client = triton
    kind = {"FP64": "float64"}.get(datatype, datatype.lower())
    distance = module.InferInput("distance", [3], datatype)
    distance.set_data_from_numpy(np.array([1, 2, 100], dtype=kind))
    assert client.infer(MODEL, [inputs(module)[0], distance]).as_numpy("label").shape == (3,)


def test_errors_say_what_to_mend(triton: tuple[Any, Any]) -> None:
    module, client = triton
    carrier = module.InferInput("carrier", [1], "BYTES")
    carrier.set_data_from_numpy(np.array([b"ZZ"], dtype=np.object_))
    with pytest.raises(InferenceServerException, match="ZZ") as refused:
        client.infer(MODEL, [carrier])
    assert refused.value.status() in ("400", "StatusCode.INVALID_ARGUMENT")
    for call in (lambda: client.infer("nobody", [carrier]), lambda: client.infer(MODEL, [carrier], "x")):
        with pytest.raises(InferenceServerException) as unknown:
            call()
        assert unknown.value.status() in ("404", "StatusCode.NOT_FOUND")


def test_grpc_also_takes_typed_contents_and_answers_in_them(server: Server) -> None:
    request = service_pb2.ModelInferRequest(model_name=MODEL, id="9")
    carrier = request.inputs.add(name="carrier", datatype="BYTES", shape=[2])
    carrier.contents.bytes_contents.extend([b"UA", b""])
    with grpc.insecure_channel(server.grpc) as channel:
        infer = channel.unary_unary(
            "/inference.GRPCInferenceService/ModelInfer",
            request_serializer=service_pb2.ModelInferRequest.SerializeToString,
            response_deserializer=service_pb2.ModelInferResponse.FromString,
        )
        with pytest.raises(grpc.RpcError) as missing:
            infer(request)
        assert "carrier is required" in missing.value.details()
        carrier.contents.bytes_contents[1] = b"AA"
        reply = infer(request, timeout=10)
    assert reply.id == "9"
    assert not reply.raw_output_contents
    assert len(reply.outputs[0].contents.bytes_contents) == 2
    assert reply.outputs[1].shape == [2, 2]
    assert len(reply.outputs[1].contents.fp64_contents) == 4


def test_api_keys_come_as_metadata_or_headers(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    read, predict = (keys.create(file, [role])[0] for role in ("read", "predict"))
    with serving(tmp_path, API_KEYS_FILE=str(file)) as server:
        port = int(server.grpc.rpartition(":")[2])
        client = triton_grpc.InferenceServerClient(f"127.0.0.1:{port}")
        assert client.is_server_ready()
        for headers, code in (
            ({}, "UNAUTHENTICATED"),
            ({"authorization": f"Bearer {read}"}, "PERMISSION_DENIED"),
            ({"authorization": f"Bearer {predict}"}, None),
            ({"x-api-key": predict}, None),
        ):
            if code is None:
                assert client.infer(MODEL, inputs(triton_grpc), headers=headers).as_numpy("label").shape == (3,)
                continue
            with pytest.raises(InferenceServerException) as refused:
                client.infer(MODEL, inputs(triton_grpc), headers=headers)
            assert refused.value.status() == f"StatusCode.{code}"
        assert client.get_model_metadata(MODEL, headers={"x-api-key": read}).name == MODEL


def test_our_definition_is_the_published_one_field_by_field() -> None:
    """In a process of its own: two definitions of one name cannot live in one."""
    script = """
from inference.entrypoints.open_inference import open_inference_grpc_pb2 as pb
for message in pb.DESCRIPTOR.message_types_by_name.values():
    for each in (message, *message.nested_types):
        for field in each.fields:
            print(each.full_name, field.name, field.number, field.type, field.is_repeated)
for method in pb.DESCRIPTOR.services_by_name["GRPCInferenceService"].methods:
    print(method.full_name, method.input_type.full_name, method.output_type.full_name)
"""
    ours = set(subprocess.check_output([sys.executable, "-c", script], text=True).splitlines())
    published: set[str] = set()
    for message in service_pb2.DESCRIPTOR.message_types_by_name.values():
        for each in (message, *message.nested_types):
            published |= {f"{each.full_name} {f.name} {f.number} {f.type} {f.is_repeated}" for f in each.fields}
    for method in service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"].methods:
        published.add(f"{method.full_name} {method.input_type.full_name} {method.output_type.full_name}")
    assert len(ours) > 60
    assert ours <= published


def test_the_generated_code_is_that_of_the_definition(tmp_path: Path) -> None:
    source = Path(__file__).parents[2] / "services/inference/src"
    package = "inference/entrypoints/open_inference"
    made = [f"--{kind}_out={tmp_path}" for kind in ("python", "pyi")]
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I", str(source), *made]
    subprocess.run([*command, f"{package}/open_inference_grpc.proto"], check=True, cwd=source)
    for file in sorted((tmp_path / package).iterdir()):
        assert file.read_text() == (source / package / file.name).read_text(), "run `make protocol`"
