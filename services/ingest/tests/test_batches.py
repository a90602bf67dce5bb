import json
from uuid import UUID

import pytest

from ingest.application.ports import BrokerAway, Crowded, Unconfirmed

from .conftest import EVENT_ID, PREDICTION_ID, example


def ndjson(*events: object) -> bytes:
    return b"\n".join(json.dumps(event).encode() for event in events)


async def test_a_batch_that_fits_is_202_with_an_item_for_each(service):
    answer = await service.batch([example(event_id=EVENT_ID), example()])
    assert answer.status_code == 202
    told = answer.json()
    assert (told["accepted"], told["rejected"]) == (2, 0)
    assert told["items"][0] == {"index": 0, "event_id": EVENT_ID, "status": "accepted"}
    assert UUID(told["items"][1]["event_id"])
    assert [str(event.event_id) for event in service.publishing.feedback] == [i["event_id"] for i in told["items"]]


async def test_of_a_mixed_batch_only_the_bad_are_refused_by_index(service):
    answer = await service.batch([example(), example(event_id=EVENT_ID, label="tardy"), 7, example(model="trains")])
    assert answer.status_code == 207
    told = answer.json()
    assert (told["accepted"], told["rejected"]) == (1, 3)
    assert [item["status"] for item in told["items"]] == ["accepted", "rejected", "rejected", "rejected"]
    assert told["items"][1]["event_id"] == EVENT_ID
    assert told["items"][1]["problem"]["errors"][0]["pointer"] == "/label"
    assert [item["problem"]["status"] for item in told["items"][1:]] == [422, 422, 404]
    assert len(service.publishing.events) == 1


async def test_a_batch_of_which_nothing_fits_is_422(service):
    answer = await service.batch([example(label="tardy")] * 2)
    assert answer.status_code == 422
    assert answer.json()["rejected"] == 2


async def test_ndjson_is_read_by_lines_and_a_broken_line_is_refused_alone(service):
    raw = (
        ndjson(example()) + b"\n\n{broken\r\n" + ndjson(example()).replace(b"UA", b"\xff") + b"\r\n" + ndjson(example())
    )
    answer = await service.lines(raw)
    assert answer.status_code == 207
    items = answer.json()["items"]
    assert [item["status"] for item in items] == ["accepted", "rejected", "rejected", "accepted"]
    assert "line 1, column 2" in items[1]["problem"]["detail"]
    assert items[2]["problem"]["status"] == 400


async def test_a_repeated_key_is_found_in_a_batch_too(service):
    raw = ndjson(example()).replace(b'"label":', b'"model":"flights","label":')
    for answer in (
        await service.lines(raw),
        await service.client.post(
            "/v1/feedback/batch", content=b"[" + raw + b"]", headers={"content-type": "application/json"}
        ),
    ):
        assert answer.status_code == 422
        assert "stands twice" in answer.text


@pytest.mark.parametrize(
    ("raw", "status", "told"),
    [
        (b"", 400, "empty"),
        (b"[]", 422, "the batch is empty"),
        (b"{}", 422, "a batch is a JSON array"),
        (b"[1,", 400, "line 1, column 4"),
        (b'[{"kind": NaN}]', 400, "NaN"),
        (json.dumps([example()] * 5001).encode(), 413, "at most 5,000"),
        (b"[" + b" " * (8 * 1024 * 1024) + b"]", 413, "8,388,608 bytes"),
    ],
)
async def test_what_is_no_batch_is_refused_as_a_whole(service, raw, status, told):
    headers = {"content-type": "application/json"}
    answer = await service.client.post("/v1/feedback/batch", content=raw, headers=headers)
    assert answer.status_code == status
    assert told in answer.text
    assert service.publishing.events == []


async def test_the_largest_batch_is_taken(service):
    answer = await service.lines(ndjson(*[example()] * 5000))
    assert (answer.status_code, answer.json()["accepted"]) == (202, 5000)


async def test_an_event_over_64_kib_is_refused_alone(service):
    answer = await service.batch([example(comment="x" * 70_000), example()])
    assert answer.status_code == 207
    assert answer.json()["items"][0]["problem"]["status"] == 413


async def test_an_event_padded_over_64_kib_is_refused_like_by_itself(service):
    padded = b"[" + json.dumps(example()).replace("}", " " * 70_000 + "}").encode() + b"]"
    headers = {"content-type": "application/json"}
    answer = await service.client.post("/v1/feedback/batch", content=padded, headers=headers)
    assert answer.json()["items"][0]["problem"]["status"] == 413


async def test_another_content_type_is_415_and_both_are_named(service):
    answer = await service.client.post("/v1/feedback/batch", content=b"[]", headers={"content-type": "text/csv"})
    assert answer.status_code == 415
    assert "application/json or application/x-ndjson" in answer.json()["detail"]


@pytest.mark.parametrize(("error", "status"), [(BrokerAway("x"), 503), (Unconfirmed("x"), 503), (Crowded("x"), 429)])
async def test_a_batch_that_kafka_did_not_take_says_so_with_the_ids_to_send_it_again_under(service, error, status):
    service.publishing.error = error
    answer = await service.batch([example(), example(label="tardy")])
    assert answer.status_code == status
    assert answer.headers["retry-after"]
    told = answer.json()
    assert (told["accepted"], told["rejected"]) == (0, 2)
    assert UUID(told["items"][0]["event_id"])


async def test_what_kafka_took_of_a_batch_is_told_apart_from_what_it_did_not(service):
    service.publishing.error = Unconfirmed("x")
    service.publishing.fails = lambda event: event.event_id == EVENT_ID
    answer = await service.batch([example(), example(event_id=EVENT_ID)])
    assert answer.status_code == 207
    assert answer.json()["items"][1]["problem"]["status"] == 503


async def test_a_model_that_was_added_this_moment_is_looked_for_once_a_batch(service):
    service.appearing = ["name: trains\ntask: regression\nlabel: {name: m}\nfeatures: [{name: d, type: number}]"]
    events = [example(model="trains", features={"d": 1}, label=2)] * 2 + [example(model="boats")] * 3
    answer = await service.batch(events)
    assert (answer.status_code, answer.json()["accepted"], service.looks) == (207, 2, 1)


async def test_tokens_are_verified_in_batches(service):
    forged = {"kind": "confirmation", "feedback_token": service.token()[:-2] + "xx"}
    answer = await service.batch([{"kind": "confirmation", "feedback_token": service.token()}, forged])
    assert [item.get("problem", {}).get("status") for item in answer.json()["items"]] == [None, 401]
    assert str(service.publishing.feedback[0].prediction_id) == PREDICTION_ID
