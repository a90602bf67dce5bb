from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from trainer.domain.resolution import labelled, resolve

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SCHEMA = {
    "event_id": pl.String,
    "prediction_id": pl.String,
    "user_hash": pl.String,
    "kind": pl.String,
    "label": pl.String,
    "predicted": pl.String,
    "audited": pl.Boolean,
    "occurred_at": pl.Datetime("us", "UTC"),
    "received_at": pl.Datetime("us", "UTC"),
}


def a_word(minute: int, label: str | None, **other: Any) -> dict[str, Any]:
    said = NOON + timedelta(minutes=minute)
    usual = {"event_id": f"e{minute}", "prediction_id": "p", "user_hash": None, "kind": "correction", "predicted": "a"}
    return {**usual, "label": label, "audited": None, "occurred_at": said, "received_at": said, **other}


def frame(*rows: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=SCHEMA)


def labels(*rows: dict[str, Any]) -> list[str]:
    return resolve(labelled(frame(*rows)))["label"].to_list()


def test_the_latest_word_of_a_user_wins() -> None:
    assert labels(a_word(1, "a", user_hash="u"), a_word(2, "b", user_hash="u")) == ["b"]


def test_of_two_users_who_disagree_the_last_to_speak_wins() -> None:
    assert labels(a_word(1, "a", user_hash="u"), a_word(2, "b", user_hash="v")) == ["b"]


def test_two_users_who_agree_outweigh_one_who_spoke_last() -> None:
    words = (a_word(1, "a", user_hash="u"), a_word(2, "a", user_hash="v"), a_word(3, "b", user_hash="w"))
    assert labels(*words) == ["a"]


def test_one_user_repeating_a_label_has_one_vote() -> None:
    words = [a_word(minute, "b", user_hash="u") for minute in range(5)]
    assert labels(*words, a_word(9, "a", user_hash="v")) == ["a"]


def test_a_confirmation_says_what_was_predicted() -> None:
    assert labels(a_word(1, None, kind="confirmation", predicted="a")) == ["a"]


def test_a_rating_is_never_a_label() -> None:
    assert labels(a_word(1, "b", kind="rating")) == []


def test_a_word_dated_in_the_future_counts_by_its_receipt() -> None:
    forged = a_word(1, "b", user_hash="u", occurred_at=NOON + timedelta(days=400))
    assert labels(forged, a_word(2, "a", user_hash="u")) == ["a"]


def test_examples_stand_for_themselves() -> None:
    one, two = (a_word(n, "a", kind="example", prediction_id=None) for n in (1, 2))
    assert labels(one, two) == ["a", "a"]


def test_an_audited_answer_stays_audited_whoever_spoke_last() -> None:
    resolved = resolve(labelled(frame(a_word(1, "a", user_hash="u", audited=True), a_word(2, "b", user_hash="v"))))
    assert resolved["audited"].to_list() == [True]


WORDS = st.lists(
    st.builds(
        lambda minute, label, user, prediction: a_word(
            minute, label, user_hash=user, prediction_id=prediction, event_id=f"{minute}-{label}-{user}-{prediction}"
        ),
        st.integers(0, 3),
        st.sampled_from("ab"),
        st.sampled_from([None, "u", "v", "w"]),
        st.sampled_from(["p", "q"]),
    ),
    min_size=1,
    max_size=12,
    unique_by=lambda word: word["event_id"],
)


@given(WORDS, st.randoms())
def test_the_order_of_arrival_never_changes_the_result(words: list[dict[str, Any]], random: Any) -> None:
    shuffled = list(words)
    random.shuffle(shuffled)
    one, other = (resolve(labelled(frame(*rows))).sort("event_id") for rows in (words, shuffled))
    assert one.equals(other)
    assert one["prediction_id"].n_unique() == one.height


def test_two_users_of_little_trust_do_not_outweigh_one_of_much() -> None:
    words = labelled(
        frame(
            a_word(1, "a", user_hash="u"),
            a_word(2, "a", user_hash="v"),
            a_word(3, "b", user_hash="w"),
        )
    ).with_columns(pl.Series("_trust", [0.2, 0.3, 0.9]))
    assert resolve(words)["label"].to_list() == ["b"]
