from collections import Counter
from datetime import UTC, datetime, timedelta

from pydantic import TypeAdapter, ValidationError

from flights.crowd import Answer, Crowd
from flywheel_schemas.events import FeedbackRequest

LANDED = datetime(2013, 3, 1, 12, tzinfo=UTC)
REQUEST = TypeAdapter(FeedbackRequest)


def said(crowd, flights, truth, *, requested=False):
    for flight in range(flights):
        answer = Answer("0c8f7f5e-0000-4000-8000-000000000000", "cGF5bG9hZA.c2lnbmF0dXJl", requested, "late", 0.6, "1")
        yield from crowd.postings(flight, answer, truth, LANDED)


def kinds(postings):
    ids = {posting.body["event_id"]: posting for posting in postings if posting.sound}
    return Counter(posting.body["kind"] for posting in ids.values())


def test_thirty_percent_of_wrong_answers_are_corrected_and_five_of_right_ones_confirmed():
    wrong = kinds(said(Crowd(20_000, 1), 20_000, "on_time"))
    right = kinds(said(Crowd(20_000, 2), 20_000, "late"))
    assert abs(wrong["correction"] / 20_000 - 0.30) < 0.01
    assert abs(right["confirmation"] / 20_000 - 0.05) < 0.01
    assert wrong["confirmation"] == right["correction"] == 0


def test_sixty_percent_of_those_asked_answer_whatever_the_answer_was():
    for truth in ("late", "on_time"):
        found = kinds(said(Crowd(20_000, 3), 20_000, truth, requested=True))
        assert abs((found["correction"] + found["confirmation"]) / 20_000 - 0.60) < 0.015


def test_people_of_a_flight_behave_alike_however_often_they_are_asked():
    crowd = Crowd(500, 4)
    assert list(said(crowd, 500, "late")) == list(said(Crowd(500, 4), 500, "late"))


def test_some_words_come_twice_and_some_days_late():
    postings = [posting for posting in said(Crowd(20_000, 5), 20_000, "on_time") if posting.sound]
    times = Counter(posting.body["event_id"] for posting in postings)
    assert 50 < sum(count == 2 for count in times.values()) < 250
    assert any(posting.at - LANDED > timedelta(days=1) for posting in postings)
    assert all(posting.at >= LANDED for posting in postings)


def test_sound_words_are_what_the_contract_takes():
    for posting in said(Crowd(2000, 6), 2000, "on_time"):
        if posting.sound:
            REQUEST.validate_python(FeedbackRequest.model_validate_json(_json(posting.body)))


def test_everything_that_is_said_bears_the_time_of_the_replay():
    for posting in said(Crowd(2000, 8), 2000, "late"):
        if posting.sound:
            assert posting.body["occurred_at"] == LANDED.isoformat()


def test_nonsense_of_every_sort_is_sent():
    broken = Counter()
    for posting in said(Crowd(20_000, 7), 20_000, "late"):
        if not posting.sound:
            try:
                FeedbackRequest.model_validate_json(_json(posting.body))
                broken["readable, but untrue"] += 1
            except ValidationError:
                broken["against the contract"] += 1
    assert broken["readable, but untrue"] > 5
    assert broken["against the contract"] > 5


def _json(body):
    import json

    return json.dumps(body)
