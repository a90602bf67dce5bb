"""The year again, day by day: answers, feedback as people give it, and a retraining whenever there is enough of it."""

from typing import Any

import numpy as np
import polars as pl

from evidence.quality import Aid, error_rate
from flights import data
from flights.lines import Moment, by_month
from flights.lines import all_labels as line_of_all_labels
from study import lab
from study.crowd import Crowd, audits, prediction_ids
from study.feed import examples
from study.outcomes import Arm, Month, Outcome, Size
from study.stages import DAY_US, WORDS, first_version, stage
from trainer.domain.training_set import Sources

BURST_DAY, BURST_WORDS = 100, 5_000


def run(arm: Arm, seed: int, size: Size) -> Outcome:
    """One replay from the first version on."""
    replay = _Replay(arm, seed, size)
    for day in range(int(replay.at.day[-1]) + 1):
        replay.serve(day)
        if replay.new_words(day) >= size.feedback_count:
            replay.retrain(day)
    return replay.outcome()


def all_labels(size: Size, every_days: int = 20) -> Outcome:
    """What could be served if the end of every flight were known when it lands: retrained every so many days."""
    at = stage(size)
    nothing = Sources(at.base, lab.frame("feedback", at.spec, {}), lab.frame("predictions", at.spec, {}))
    starts = [int(np.searchsorted(at.day, day)) for day in range(every_days, int(at.day[-1]), every_days)]
    moments = [Moment(str(n), start, at.flights["scheduled_at"][start], nothing) for n, start in enumerate(starts)]
    first = first_version(size).text
    score = line_of_all_labels(first, at.spec, at.flights, moments)
    frozen = _months(lab.late(first, at.numbers), at.flights)
    return Outcome(_months(score, at.flights), frozen, {}, len(moments), len(moments), 0, 0.0)


class _Replay:
    def __init__(self, arm: Arm, seed: int, size: Size) -> None:
        self.at, self._arm, self._size = stage(size), arm, size
        n = len(self.at.day)
        self._spec = lab.with_parts(self.at.spec, **arm.changes)
        self._crowd = Crowd(self.at.flights["landed_at"], seed, arm.manners)
        self._ids = prediction_ids(n, seed)
        self._audited = audits(self._ids, arm.audit_percent)
        self._champion = first_version(size)
        self._score, self._said = np.full(n, np.nan), np.zeros(n, bool)
        self._word, self._version = np.zeros(n, bool), np.zeros(n, np.int64)
        self._versions, self._retrainings, self._since = 1, 0, 0
        self._liars: list[float] = []
        self._caught, self._wronged = 0, 0

    def serve(self, day: int) -> None:
        """Answer the day's flights, and find out who will speak about them."""
        today = np.flatnonzero(self.at.day == day)
        if not len(today):
            return
        self._score[today] = lab.late(self._champion.text, self.at.numbers[today])
        self._said[today] = self._score[today] >= 0.5
        self._version[today] = self._versions
        wrong = self._said[today] != self.at.late[today]
        self._word[today] = self.at.landed[today] & self._crowd.speak(today, wrong, self._audited[today])

    def new_words(self, day: int) -> int:
        """Words since the last retraining."""
        burst = BURST_WORDS if self._arm.burst and day >= BURST_DAY else 0
        return int(self._arrived(day).sum()) + burst - self._since

    def retrain(self, day: int) -> None:
        """Train on what has arrived by the end of `day`; the candidate serves from the next day, if it may."""
        self._since += self.new_words(day)
        self._retrainings += 1
        result = lab.retrain(self._spec, self._sources(day), self._champion)
        if result.training_set is not None:
            self._liars.append(self._share_of_lies(result.training_set.rows))
            held = result.training_set.held
            self._caught = int(held.filter(self._is_lie()).height)
            self._wronged = held.height - self._caught
        if result.passed and result.candidate is not None:
            self._champion = result.candidate
            self._versions += 1

    def outcome(self) -> Outcome:
        """After the last day."""
        frozen = lab.late(first_version(self._size).text, self.at.numbers)
        flips = self._crowd.flips & self._word
        lies = int(flips.sum()) + (BURST_WORDS if self._arm.burst else 0)
        return Outcome(
            auc=_months(self._score, self.at.flights),
            frozen=_months(frozen, self.at.flights),
            errors=self._errors(),
            retrainings=self._retrainings,
            promoted=self._versions - 1,
            lies_told=lies,
            liars=float(np.mean(self._liars)) if self._liars else 0.0,
            caught=self._caught,
            wronged=self._wronged,
        )

    def _arrived(self, day: int) -> np.ndarray:
        return self._word & (self._crowd.posted_us <= self._end_us(day))

    def _end_us(self, day: int) -> int:
        return int(self.at.scheduled_us[0]) + (day + 1) * DAY_US

    def _told(self, rows: np.ndarray) -> np.ndarray:
        """What is said about these flights: the truth, but by those who flip it."""
        return np.asarray(self.at.late[rows] != self._crowd.flips[rows])

    def _sources(self, day: int) -> Sources:
        answered = np.flatnonzero(self.at.day <= day)
        words = np.flatnonzero(self._arrived(day))
        said = [self._words(words, self._told(words), self._crowd.posted_us[words], "w")]
        again = words[self._crowd.thinks_again(words)]
        if len(again):
            said.append(self._words(again, ~self._told(again), self._crowd.posted_us[again] - 3_600_000_000, "f"))
        if self._arm.burst and day >= BURST_DAY:
            said.append(self._burst(BURST_DAY))
        if self._arm.examples:
            fenced = self._arm.with_fences
            said.append(examples(self.at, self._crowd, self._arm.examples, self._end_us(day), fenced=fenced))
        feedback = pl.concat(said)
        predictions = self._predictions(answered)
        if not self._arm.with_resolution:
            feedback, predictions = _each_alone(feedback, predictions)
        base = self.at.base if self._arm.with_base else self.at.base.head(0)
        return Sources(base, feedback, predictions)

    def _words(self, rows: np.ndarray, told: np.ndarray, posted_us: np.ndarray, tag: str) -> pl.DataFrame:
        same = told == self._said[rows]
        at = pl.Series(posted_us).cast(pl.Datetime("us", "UTC"))
        landed = self.at.flights["landed_at"].gather(rows)
        columns = {
            **self._answers(rows),
            "event_id": np.char.add(f"{tag}-", self._ids[rows]),
            "label": np.take(WORDS, told.astype(int)),
            "kind": np.where(same, "confirmation", "correction"),
            "user_hash": np.char.mod("user-%d", self._crowd.user[rows]),
            "key_id": np.full(len(rows), "arrivals-board"),
            "source": np.full(len(rows), "arrivals-board"),
            "occurred_at": landed,  # of two words of a user about one flight the one received last counts
            "received_at": at,
            "event_date": at.dt.date(),
        }
        return lab.frame("feedback", self._spec, columns)

    def _burst(self, day: int) -> pl.DataFrame:
        """One user with one key tells 5,000 lies within a minute, about the newest answers whose end is known."""
        known = self.at.landed & (self.at.day < day) & ~self._word
        rows = np.flatnonzero(known)[-BURST_WORDS:]
        posted = self._end_us(day) - 60_000_000 + np.arange(len(rows)) * 60_000_000 // max(len(rows), 1)
        words = self._words(rows, ~self.at.late[rows], posted, "b")
        told = pl.col("received_at").alias("occurred_at")
        whose = [pl.lit("liar").alias("user_hash"), pl.lit("script").alias("source"), told]
        if "key_id" in words.columns:
            whose.append(pl.lit("script").alias("key_id"))
        return words.with_columns(whose)

    def _answers(self, rows: np.ndarray) -> dict[str, Any]:
        return {
            "prediction_id": self._ids[rows],
            "model_version": self._version[rows].astype(str),
            "variant": np.full(len(rows), "champion"),
            "predicted": np.take(WORDS, self._said[rows].astype(int)),
            "audited": self._audited[rows],
        }

    def _predictions(self, rows: np.ndarray) -> pl.DataFrame:
        seen = self.at.flights[rows]
        score = np.where(self._said[rows], self._score[rows], 1.0 - self._score[rows])
        at = seen["scheduled_at"]
        times = {"occurred_at": at, "received_at": at, "event_date": at.dt.date()}
        columns = {**seen.select(data.FEATURES).to_dict(), **self._answers(rows), "score": score, **times}
        return lab.frame("predictions", self._spec, columns)

    def _is_lie(self) -> pl.Expr:
        liars = np.char.add("w-", self._ids[self._crowd.flips & self._word])
        return pl.col("event_id").str.starts_with("b-") | pl.col("event_id").is_in(liars.tolist())

    def _share_of_lies(self, rows: pl.DataFrame) -> float:
        """The share of the feedback's weight that lies have in a training set."""
        taught = rows.filter(pl.col("_origin") == "feedback")
        total = float(taught["_weight"].sum())
        return float(taught.filter(self._is_lie())["_weight"].sum()) / total if total else 0.0

    def _errors(self) -> dict[str, Month]:
        """Each month's error rate as the audited answers about its predictions say, and as it was."""
        month, found = self.at.flights["month"].to_numpy(), {}
        wrong = self._said != self.at.late
        for each in np.unique(month):
            mine = (month == each) & np.isfinite(self._score)
            words = np.flatnonzero(mine & self._word)
            counts = {False: int((mine & ~self._said).sum()), True: int((mine & self._said).sum())}
            doubt = np.minimum(self._score, 1.0 - self._score)
            means = {said: float(doubt[mine & (self._said == said)].mean()) for said, count in counts.items() if count}
            rows = self._said[words], self._told(words), self._audited[words]
            seen = error_rate(*rows, counts, aid=Aid(doubt[words], means))
            truth = float(wrong[mine & self.at.landed].mean())
            found[str(int(each))] = Month(truth, seen.value, seen.low, seen.high, seen.audits)
        return found


def _months(score: np.ndarray, rows: pl.DataFrame) -> dict[str, float]:
    return {str(month): float(value) for month, value in by_month(score, rows).items()}


def _each_alone(feedback: pl.DataFrame, predictions: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Every word about a prediction of its own, so that nothing is resolved."""
    first = feedback.filter(pl.col("event_id").str.starts_with("f-")).with_columns(
        (pl.lit("f") + pl.col("prediction_id")).alias("prediction_id")
    )
    others = feedback.filter(~pl.col("event_id").str.starts_with("f-"))
    ids = first.select("prediction_id").with_columns(pl.col("prediction_id").str.slice(1).alias("_as"))
    copies = predictions.join(ids, left_on="prediction_id", right_on="_as", how="inner", suffix="_alone")
    copies = copies.with_columns(pl.col("prediction_id_alone").alias("prediction_id")).select(predictions.columns)
    return pl.concat([others, first]), pl.concat([predictions, copies])
