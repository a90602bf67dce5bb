"""What is committed for others to read says what the code says."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel, ValidationError

from flywheel_schemas import glossary, publish
from flywheel_schemas.events import EVENTS, FeedbackRequest
from flywheel_schemas.topics import ALL_TOPICS, BY_NAME, DAY_MS

FOLDER = Path(__file__).parents[1]
MODELS: dict[str, type[BaseModel]] = {**EVENTS, "feedback-request": FeedbackRequest}
SAMPLES = sorted((FOLDER / "samples").glob("*/v1/*.json"))


def validator(name: str) -> Draft202012Validator:
    schema = json.loads((FOLDER / "published" / name / "v1.json").read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def test_the_published_files_are_what_the_code_says() -> None:
    assert publish.drifted(FOLDER) == []
    assert publish.main(["--check"], FOLDER) == 0


def test_drift_is_found_named_and_mended(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert publish.main([], tmp_path) == 0
    assert publish.main(["--check"], tmp_path) == 0
    (tmp_path / "published/feedback/v1.json").write_text("{}")
    (tmp_path / "published/forgotten/").mkdir()
    (tmp_path / "published/forgotten/v1.json").write_text("{}")
    assert publish.main(["--check"], tmp_path) == 1
    told = capsys.readouterr().err
    assert "published/feedback/v1.json is not what the code says; run `python -m flywheel_schemas.publish`" in told
    assert "published/forgotten/v1.json belongs to no event" in told


@pytest.mark.parametrize("name", MODELS)
def test_each_schema_has_an_id_a_title_and_an_explanation_of_every_field(name: str) -> None:
    schema = validator(name).schema
    assert schema["$id"] == f"urn:flywheel:{name}:v1"
    assert schema["title"]
    assert schema["description"]
    for part in [schema, *schema.get("$defs", {}).values()]:
        assert all("description" in field for field in part.get("properties", {}).values())


def test_the_glossary_explains_no_field_that_is_gone() -> None:
    schemas = [MODELS[name].model_json_schema() for name in MODELS]
    parts = [part for schema in schemas for part in [schema, *schema.get("$defs", {}).values()]]
    assert set(glossary.MEANING) == {name for part in parts for name in part.get("properties", {})}


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: f"{path.parts[-3]}-{path.stem}")
def test_every_committed_sample_parses_for_ever_and_fits_its_published_schema(path: Path) -> None:
    name = path.parts[-3]
    MODELS[name].model_validate_json(path.read_bytes())
    validator(name).validate(json.loads(path.read_text()))


def test_every_event_has_samples_and_every_kind_of_feedback_too() -> None:
    assert {path.parts[-3] for path in SAMPLES} == set(MODELS)
    kinds = {json.loads(path.read_text())["kind"] for path in SAMPLES if path.parts[-3] == "feedback"}
    assert kinds == {"correction", "confirmation", "rating", "example"}


_values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 7),
    st.sampled_from([0.5, "late", "", "x" * 300, "0b2f0c1e-6a9e-4c53-9a0e-2f4f3a1f0001", "2026-11-24T12:00:00Z"]),
    st.dictionaries(st.sampled_from(["a", "not a name"]), st.sampled_from([1, "x", None, True, [1]]), max_size=2),
)
_kinds = st.sampled_from(["correction", "confirmation", "rating", "example", "praise"])
_likely = {"kind": _kinds, "model": st.sampled_from(["flights", "Flights", None]), "rating": st.integers(0, 6)}
_requests = st.fixed_dictionaries(
    {},
    optional={
        name: st.one_of(_likely.get(name, _values), _values)
        for name in ["kind", "model", "rating", "label", "features", "feedback_token", "comment", "user_id", "other"]
    },
)
_SAMPLE_REQUESTS = [json.loads(path.read_text()) for path in SAMPLES if path.parts[-3] == "feedback-request"]
_REQUEST_SCHEMA = validator("feedback-request")


@settings(max_examples=400)
@given(
    sample=st.sampled_from(_SAMPLE_REQUESTS), changes=_requests, dropped=st.sets(st.sampled_from(["label", "model"]))
)
def test_the_published_schema_and_the_code_accept_and_refuse_the_same_requests(
    sample: dict[str, Any], changes: dict[str, Any], dropped: set[str]
) -> None:
    body = {name: value for name, value in (sample | changes).items() if name not in dropped}
    try:
        FeedbackRequest.parse(json.dumps(body).encode())
        accepted = True
    except ValidationError:
        accepted = False
    assert _REQUEST_SCHEMA.is_valid(body) == accepted


# AsyncAPI


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((FOLDER / "asyncapi.yaml").read_text())
    return loaded


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def resolved(document: dict[str, Any], reference: str) -> Any:
    if not reference.startswith("#/"):
        return json.loads((FOLDER / reference).read_text())
    node: Any = document
    for part in reference[2:].split("/"):
        node = node[part.replace("~1", "/").replace("~0", "~")]
    return node


def test_the_document_is_asyncapi_3_and_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    assert re.fullmatch(r"3\.\d+\.\d+", document["asyncapi"])
    assert document["info"]["title"]
    assert document["info"]["version"]
    found = list(references(document))
    assert found
    for reference in found:
        assert resolved(document, reference)


def test_every_topic_is_a_channel_with_its_configuration(document: dict[str, Any]) -> None:
    assert {channel["address"] for channel in document["channels"].values()} == set(BY_NAME)
    for topic in ALL_TOPICS:
        binding = document["channels"][topic.name]["bindings"]["kafka"]
        assert binding["bindingVersion"] == "0.5.0"
        assert binding["partitions"] > 0
        assert isinstance(binding["topicConfiguration"]["cleanup.policy"], list)
        told = {
            name: value[0] if isinstance(value, list) else str(value)
            for name, value in binding["topicConfiguration"].items()
        }
        assert told == topic.config


def test_operations_send_or_receive_messages_of_their_own_channel(document: dict[str, Any]) -> None:
    for operation in document["operations"].values():
        assert operation["action"] in {"send", "receive"}
        channel = operation["channel"]["$ref"]
        assert all(m["$ref"].startswith(f"{channel}/messages/") for m in operation["messages"])
        group = operation.get("bindings", {}).get("kafka", {}).get("groupId")
        assert group is None or group["type"] == "string"


def test_every_topic_has_somebody_who_sends(document: dict[str, Any]) -> None:
    sent = {o["channel"]["$ref"] for o in document["operations"].values() if o["action"] == "send"}
    assert sent == {f"#/channels/{name}" for name in BY_NAME}


def test_messages_have_a_key_schema_the_headers_of_cloudevents_and_examples_that_fit(document: dict[str, Any]) -> None:
    for topic in ALL_TOPICS:
        message = document["components"]["messages"][topic.event]
        assert message["bindings"]["kafka"]["key"]["type"] == "string"
        if topic.event not in EVENTS:
            continue
        headers = message["headers"]
        assert headers["properties"]["ce_type"]["const"] == topic.ce_type == message["name"]
        assert {"ce_id", "ce_source", "ce_specversion", "content-type"} <= set(headers["required"])
        assert "traceparent" in headers["properties"]
        assert message["examples"]
        for example in message["examples"]:
            validator(topic.event).validate(example["payload"])


def test_topics_are_kept_as_long_as_promised() -> None:
    kept = {topic.name: (topic.cleanup, topic.retention_ms) for topic in ALL_TOPICS}
    assert kept == {
        "feedback-events": ("delete", 7 * DAY_MS),
        "feedback-dead-letter": ("delete", 30 * DAY_MS),
        "predictions": ("delete", 7 * DAY_MS),
        "dataset-committed": ("delete", 7 * DAY_MS),
        "threshold-reached": ("delete", 30 * DAY_MS),
        "model-updated": ("compact", None),
        "challenger-health": ("delete", DAY_MS),
        "rollout-audit-log": ("delete", 365 * DAY_MS),
    }
    assert BY_NAME["feedback-dead-letter"].high_volume == BY_NAME["feedback-events"].high_volume is True
