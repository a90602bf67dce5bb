"""The account finds what it is there to find; without these tests a balanced account would mean nothing."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.chaos.ledger import Ledger
from tests.chaos.reconcile import Account, reconcile


def account(*, sent: str, acknowledged: str, **places: str) -> Account:
    """Each letter is an id."""
    return reconcile(set(acknowledged), set(sent), {place: Counter(ids) for place, ids in places.items()})


def test_everything_in_one_place_once_is_balanced() -> None:
    result = account(sent="abcd", acknowledged="abc", dataset="a", quarantine="b", dead_letter="c")
    assert result.balanced
    assert result.found == {"dataset": 1, "quarantine": 1, "dead_letter": 1}


def test_what_was_sent_without_an_answer_may_be_there_or_not() -> None:
    assert account(sent="ab", acknowledged="a", dataset="a").balanced
    assert account(sent="ab", acknowledged="a", dataset="ab").balanced


def test_an_acknowledged_event_that_is_nowhere_is_lost() -> None:
    result = account(sent="ab", acknowledged="ab", dataset="a", quarantine="", dead_letter="")
    assert result.lost == {"b"}
    assert not result.balanced
    assert "1 lost (b)" in result.in_words()


def test_an_event_twice_in_one_place_is_doubled() -> None:
    assert account(sent="a", acknowledged="a", dataset="aa").doubled == {"a"}


def test_an_event_in_two_places_is_doubled() -> None:
    result = account(sent="a", acknowledged="a", dataset="a", quarantine="a")
    assert result.doubled == {"a"}
    assert not result.balanced


def test_an_unanswered_event_must_not_be_there_twice_either() -> None:
    assert account(sent="a", acknowledged="", dataset="aa").doubled == {"a"}


def test_an_event_that_nobody_sent_is_invented() -> None:
    result = account(sent="a", acknowledged="a", dataset="ab")
    assert result.invented == {"b"}
    assert not result.balanced


@given(
    placed=st.dictionaries(st.text(min_size=1, max_size=3), st.integers(0, 2), min_size=1),
    data=st.data(),
)
def test_any_single_mistake_unbalances_a_balanced_account(placed: dict[str, int], data: st.DataObject) -> None:
    names = ("dataset", "quarantine", "dead_letter")
    places = {name: Counter(id for id, where in placed.items() if where == i) for i, name in enumerate(names)}
    ids = set(placed)
    assert reconcile(ids, ids, places).balanced
    victim = data.draw(st.sampled_from(sorted(ids)))
    wrong = {name: Counter(held) for name, held in places.items()}
    match data.draw(st.sampled_from(["lose", "double", "move twice", "invent"])):
        case "lose":
            del wrong[names[placed[victim]]][victim]
        case "double":
            wrong[names[placed[victim]]][victim] += 1
        case "move twice":
            wrong[names[(placed[victim] + 1) % 3]][victim] += 1
        case "invent":
            wrong["dataset"][victim + "nobody sent this"] += 1
    assert not reconcile(ids, ids, wrong).balanced


def test_a_ledger_keeps_apart_what_was_promised_and_what_was_only_sent() -> None:
    ledger = Ledger()
    ledger.about_to_send("a", "b", "c")
    ledger.acknowledge("a")
    ledger.refuse("b")
    assert (ledger.acknowledged(), ledger.sent(), ledger.refused) == ({"a"}, {"a", "c"}, 1)


def test_a_second_acknowledgement_is_a_duplicate_and_a_later_silence_takes_nothing_back() -> None:
    ledger = Ledger()
    ledger.acknowledge("a", "a")
    ledger.about_to_send("a")
    assert (ledger.acknowledged(), ledger.duplicates) == ({"a"}, 1)
    assert ledger.earlier(random.Random(0)) == "a"


def test_an_empty_ledger_has_nothing_to_send_again() -> None:
    assert Ledger().earlier(random.Random(0)) is None


@pytest.mark.parametrize("kind", ["lost", "doubled", "invented"])
def test_words_name_what_is_wrong_and_only_that(kind: str) -> None:
    wrong = {name: frozenset({"id"} if name == kind else ()) for name in ("lost", "doubled", "invented")}
    words = Account(acknowledged=1_000, found={"dataset": 999}, **wrong).in_words()
    assert words == f"1,000 acknowledged; 999 in dataset; 1 {kind} (id)"
