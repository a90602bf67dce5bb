from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest

from trainer.application.quarantine import Quarantine
from trainer.domain.errors import NoSuchEvent, NotAllowed
from trainer.domain.quarantine import Held

NOW = datetime(2026, 3, 1, tzinfo=UTC)
OUTLIER = Held("e1", "example", "outlier: distance is 9999", 3.0, NOW, "arrival", "{}")


@dataclass
class Events:
    held: dict = field(default_factory=lambda: {"e1": OUTLIER})
    decisions: dict = field(default_factory=dict)
    sent: list = field(default_factory=list)
    problem: str | None = None

    def all(self, model):
        return [self.one(model, event_id) for event_id in self.held]

    def one(self, model, event_id):
        held = self.held.get(event_id)
        return held and replace(held, decision=self.decisions.get(event_id))

    def decide(self, model, event_id, decision):
        return self.decisions.setdefault(event_id, decision)

    def misfit(self, model, held):
        return self.problem

    def resend(self, model, held, who):
        assert self.decisions[held.event_id].verb == "released"
        self.sent.append((held.event_id, who))


@pytest.fixture
def events():
    return Events()


@pytest.fixture
def quarantine(events):
    return Quarantine(events, lambda: NOW)


def test_a_release_is_kept_with_who_when_and_why_before_the_event_is_sent_again(events, quarantine):
    released = quarantine.release("flights", "e1", "ann", "a real long-haul flight")
    said = released.decision
    assert (released.status, said.who, said.at, said.why) == ("released", "ann", NOW, "a real long-haul flight")
    assert events.sent == [("e1", "ann")]


def test_releasing_again_sends_again_since_the_first_may_not_have_arrived(events, quarantine):
    for _ in range(2):
        quarantine.release("flights", "e1", "ann", "fine")
    assert len(events.sent) == 2


def test_what_was_dropped_cannot_be_released_nor_the_other_way_round(events, quarantine):
    quarantine.drop("flights", "e1", "ann", "nonsense")
    with pytest.raises(NotAllowed, match="dropped by ann on 2026-03-01: nonsense"):
        quarantine.release("flights", "e1", "bob", "no")
    assert events.sent == []
    events.decisions.clear()
    quarantine.release("flights", "e1", "ann", "fine")
    with pytest.raises(NotAllowed, match="released by ann"):
        quarantine.drop("flights", "e1", "bob", "no")


def test_what_does_not_fit_the_spec_is_not_released_until_it_does(events, quarantine):
    events.problem = "label: 'tardy' is none of on_time, late"
    with pytest.raises(NotAllowed, match="change the spec"):
        quarantine.release("flights", "e1", "ann", "fine")
    assert events.decisions == {}
    quarantine.drop("flights", "e1", "ann", "nonsense")


def test_what_is_erased_is_past_deciding(events, quarantine):
    events.held["e1"] = replace(OUTLIER, reason="erased")
    with pytest.raises(NotAllowed, match="erased"):
        quarantine.release("flights", "e1", "ann", "fine")


def test_a_row_left_out_of_training_is_released_without_being_sent(events, quarantine):
    events.held["e1"] = replace(OUTLIER, where="training", record=None)
    assert quarantine.release("flights", "e1", "ann", "fine").status == "released"
    assert events.sent == []


def test_an_unknown_event_is_an_error(quarantine):
    with pytest.raises(NoSuchEvent, match="e9"):
        quarantine.drop("flights", "e9", "ann", "x")


def test_the_list_is_by_status(events, quarantine):
    events.held["e2"] = replace(OUTLIER, event_id="e2")
    quarantine.drop("flights", "e2", "ann", "nonsense")
    assert [held.event_id for held in quarantine.list("flights", "held", 10)] == ["e1"]
    assert [held.event_id for held in quarantine.list("flights", None, 1)] == ["e1"]
