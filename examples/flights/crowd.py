"""The people of the replay: who says what about an answer, when, and what goes wrong on the way.

Everything is drawn once per flight from one seed, so a flight's people behave alike whatever the pace of the
replay, and two runs differ only in what the models answered.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import numpy as np

CORRECTS_WRONG = 0.30
CONFIRMS_RIGHT = 0.05
ANSWERS_WHEN_ASKED = 0.60
RATES = 0.02
POSTS_TWICE = 0.02
POSTS_DAYS_LATE = 0.03
POSTS_NONSENSE = 0.002
USERS = 5000
THANKS_FOR_RIGHT, BLAMES_WRONG = (3, 5), (1, 3)

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What inference said about one flight."""

    prediction_id: str
    feedback_token: str
    feedback_requested: bool
    label: str
    score: float
    model_version: str


@dataclass(frozen=True, slots=True)
class Posting:
    """A body for ingest, at a moment of the replayed time; `sound` says whether it is to be accepted."""

    at: datetime
    body: Body
    sound: bool


class Crowd:
    """Draws for `flights` flights; flights are known by their number in the replay."""

    def __init__(self, flights: int, seed: int) -> None:
        self._seed = seed
        self._draw = np.random.default_rng(seed).random((flights, 8))

    def postings(self, flight: int, answer: Answer, truth: str, landed_at: datetime) -> list[Posting]:
        """Everything that people send about this answer once the flight has landed, in no order."""
        said, late, twice, twice_after, rates, stars, nonsense, who = self._draw[flight].tolist()
        user = f"passenger-{int(who * USERS)}"
        at = landed_at + timedelta(days=1 + 9 * late / POSTS_DAYS_LATE if late < POSTS_DAYS_LATE else 0)
        sent: list[Posting] = []
        if said < self._willing(answer, truth):
            word = self._word(flight, answer, truth, landed_at, user)
            sent.append(Posting(at, word, sound=True))
            if twice < POSTS_TWICE:
                sent.append(Posting(at + timedelta(hours=6 * twice_after), word, sound=True))
        if rates < RATES:
            rating = self._rating(flight, answer, truth, stars)
            sent.append(Posting(at, {**rating, "user_id": user, "occurred_at": landed_at.isoformat()}, sound=True))
        if nonsense < POSTS_NONSENSE:
            sent.append(Posting(at, self._nonsense(flight, answer), sound=False))
        return sent

    def _willing(self, answer: Answer, truth: str) -> float:
        if answer.feedback_requested:
            return ANSWERS_WHEN_ASKED
        return CONFIRMS_RIGHT if answer.label == truth else CORRECTS_WRONG

    def _word(self, flight: int, answer: Answer, truth: str, landed_at: datetime, user: str) -> Body:
        right = answer.label == truth
        about = {"kind": "confirmation"} if right else {"kind": "correction", "label": truth}
        return {
            "event_id": self._id(flight, "word"),
            "feedback_token": answer.feedback_token,
            **about,
            "user_id": user,
            "source": "arrivals-board",
            "occurred_at": landed_at.isoformat(),
        }

    def _rating(self, flight: int, answer: Answer, truth: str, stars: float) -> Body:
        low, high = THANKS_FOR_RIGHT if answer.label == truth else BLAMES_WRONG
        return {
            "event_id": self._id(flight, "rating"),
            "feedback_token": answer.feedback_token,
            "kind": "rating",
            "rating": low + int(stars * (high - low + 1)),
            "source": "arrivals-board",
        }

    def _nonsense(self, flight: int, answer: Answer) -> Body:
        """One of five mistakes that clients make."""
        token = answer.feedback_token
        forged = token[:-1] + ("A" if token[-1] != "A" else "E")
        mistakes: list[Body] = [
            {"kind": "correction", "feedback_token": token, "label": "delayed_a_bit"},
            {"kind": "correction", "feedback_token": token},
            {"kind": "rating", "feedback_token": token, "rating": 9},
            {"kind": "confirmation", "feedback_token": token, "model_version": "1"},
            {"kind": "confirmation", "feedback_token": forged},
        ]
        return {"event_id": self._id(flight, "nonsense"), **mistakes[flight % len(mistakes)]}

    def _id(self, flight: int, what: str) -> str:
        return str(uuid5(NAMESPACE_URL, f"flights:{self._seed}:{flight}:{what}"))
