import msgspec
import pytest

from flywheel_client import BatchResult, Feedback, Item, calls

SERVICES = calls.Services("http://ingest", "http://inference", None)


def examples(n: int, **more: object) -> list[Feedback]:
    return [Feedback.example("flights", {"distance": 1.0}, "late", **more) for _ in range(n)]


def test_feedback_carries_an_id_and_a_time_of_its_own_and_nothing_that_was_not_said():
    body = msgspec.json.decode(msgspec.json.encode(Feedback.confirmation(token="t")))

    assert body.keys() == {"kind", "event_id", "occurred_at", "feedback_token"}
    assert Feedback.confirmation(token="t").event_id != Feedback.confirmation(token="t").event_id


def test_a_mistake_in_feedback_is_told_where_it_is_made():
    with pytest.raises(TypeError, match="lable"):
        Feedback.confirmation(token="t", lable="late")
    with pytest.raises(TypeError, match="rating"):
        Feedback.confirmation(token="t", rating="five")


def test_batches_keep_to_the_services_limits_and_lose_nothing():
    by_count = calls.batches(SERVICES, examples(calls.MAX_BATCH_EVENTS + 1))
    by_size = calls.batches(SERVICES, examples(4600, comment="x" * 2000))

    assert [len(msgspec.json.decode(call.content or b"")) for call in by_count] == [calls.MAX_BATCH_EVENTS, 1]
    assert sum(len(msgspec.json.decode(call.content or b"")) for call in by_size) == 4600
    assert len(by_size) == 2
    assert all(len(call.content or b"") <= calls.MAX_BATCH_BYTES for call in by_size)
    assert calls.batches(SERVICES, []) == []


def test_results_of_several_batches_are_counted_through():
    one = BatchResult(accepted=1, rejected=1, items=[_item(0, "accepted"), _item(1, "rejected")])
    joined = calls.join([one, one])

    assert (joined.accepted, joined.rejected) == (2, 2)
    assert [item.index for item in joined.items] == [0, 1, 2, 3]


def test_a_model_name_cannot_lead_elsewhere():
    assert calls.predict(SERVICES, "../x", [{}]).url == "http://inference/v1/models/..%2Fx/predict"


def _item(index: int, status: str) -> Item:
    return msgspec.convert({"index": index, "event_id": None, "status": status}, Item)
