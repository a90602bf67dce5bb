"""How often a candidate that is no better comes to serve: labels drawn by lot, so that no model can be better."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from flights.lines import matrix
from study import lab
from study.crowd import audits, prediction_ids
from study.outcomes import Size
from study.stages import WORDS, stage
from trainer.domain.training_set import Sources

BASE_ROWS, NEW_ROWS = 6_000, 2_000


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Of one retraining: whether the gates let it through, and what each confidence would have made of its gain.

    `others`: whether every gate but the metric's passed; `doubt`: the share of resamples without a gain.
    """

    passed: bool
    others: bool
    gain: float
    doubt: float

    def at(self, confidence: float) -> bool:
        """Whether the gates would have let it through at this confidence (0: by the point estimate)."""
        by_metric = self.doubt <= (1.0 - confidence) / 2.0 if confidence else self.gain >= 0.0
        return self.others and by_metric


def run(seed: int, size: Size) -> Verdicts:
    """Champion and candidate learn from labels that say nothing; the candidate sees 2,000 more of them."""
    at, random = stage(size), np.random.default_rng(seed)
    spec = at.spec
    base = at.base.sample(min(BASE_ROWS, at.base.height), seed=seed).sort("occurred_at")
    base = base.with_columns(pl.Series("label", random.permutation(base["label"].to_numpy())))
    nothing = Sources(base, lab.frame("feedback", spec, {}), lab.frame("predictions", spec, {}))
    champion = lab.retrain(spec, nothing, None).candidate
    sources = _with_new(nothing, champion, seed, size)
    retrained = lab.retrain(spec, sources, champion)
    figures = next(gate.figures for gate in retrained.gates if gate.name == "metric")
    others = all(gate.passed for gate in retrained.gates if gate.name != "metric")
    return Verdicts(retrained.passed, others, figures["gain"], figures["doubt"])


def _with_new(nothing: Sources, champion: lab.Champion | None, seed: int, size: Size) -> Sources:
    at, random = stage(size), np.random.default_rng(seed + 1)
    assert champion is not None
    rows = at.flights.filter(pl.col("label").is_not_null()).sample(NEW_ROWS, seed=seed).sort("scheduled_at")
    said = lab.late(champion.text, matrix(at.spec, rows)) >= 0.5
    told = random.permutation((rows["label"] == WORDS[1]).to_numpy())
    ids = prediction_ids(NEW_ROWS, seed)
    about = {
        "prediction_id": ids,
        "model_version": ["1"] * NEW_ROWS,
        "variant": ["champion"] * NEW_ROWS,
        "predicted": np.take(WORDS, said.astype(int)),
        "audited": audits(ids, 20.0),
        "occurred_at": rows["scheduled_at"],
        "received_at": rows["scheduled_at"],
    }
    words = {
        "event_id": ids,
        "label": np.take(WORDS, told.astype(int)),
        "kind": np.where(said == told, "confirmation", "correction"),
        "user_hash": [f"user-{number}" for number in range(NEW_ROWS)],
        "source": ["study"] * NEW_ROWS,
    }
    feedback = lab.frame("feedback", at.spec, about | words)
    predictions = lab.frame("predictions", at.spec, rows.select(at.spec.feature_names).to_dict() | about)
    return Sources(nothing.base, feedback, predictions)
