"""From what the replays came to, to the figures that programs and people read."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

import numpy as np

from benchmarks.results import Row
from study.crowd import Manners
from study.gates import Verdicts
from study.outcomes import Arm, Month, Outcome

ALL_LABELS = "all_labels"
AUDITED = Arm("audited_2")
FORGETFUL = Manners(second_thoughts=0.2)
NONE = {"training": {"weights": "none"}}
LEARNING = (
    AUDITED,
    Arm("naive", changes=NONE),
    Arm("audited_1", audit_percent=1.0),
    Arm("audited_5", audit_percent=5.0),
    Arm("wrong_only", manners=Manners(confirms_right=0.0)),
    Arm("wrong_only_naive", manners=Manners(confirms_right=0.0), changes=NONE),
)
POISON = (
    Arm("poison.5", manners=Manners(flippers=0.05)),
    Arm("poison.20", manners=Manners(flippers=0.20)),
    Arm("poison.burst", burst=True),
)
ABLATION = (
    Arm("no_base", with_base=False),
    Arm("second_thoughts", manners=FORGETFUL),
    Arm("second_thoughts_unresolved", manners=FORGETFUL, with_resolution=False),
    Arm("half_broken_feed", examples=0.1),
    Arm("half_broken_feed_unfenced", examples=0.1, with_fences=False),
    Arm("recency", changes={"training": {"half_life": timedelta(days=60)}}),
)
PARTS: Mapping[str, Sequence[Arm]] = {
    "learning": LEARNING,
    "error_rate": (AUDITED,),
    "poison": (AUDITED, *POISON),
    "ablation": (AUDITED, LEARNING[1], *ABLATION),
}
OTHER_CONFIDENCES = (0.9, 0.8, 0.0)
Outcomes = Mapping[str, Sequence[Outcome]]


def learning(found: Outcomes) -> list[Row]:
    """Served AUC of each way, averaged by month and seed, beside never retraining."""
    frozen, best = found[AUDITED.name][0].mean_frozen, found[ALL_LABELS][0].mean
    rows = [Row("study.auc.frozen", frozen, "AUC", n=1, note="January and February for ever")]
    rows.append(
        Row("study.auc.all_labels", best, "AUC", frozen, best / frozen, 1, "every flight's end known when it lands")
    )
    for arm in LEARNING:
        means = [each.mean for each in found[arm.name]]
        value, way = float(np.mean(means)), (float(np.mean(means)) - frozen) / (best - frozen)
        promoted = ", ".join(f"{each.promoted} of {each.retrainings}" for each in found[arm.name])
        note = f"{way:.2f} of the way to all labels; seeds {_listed(means)}; promoted {promoted}"
        rows.append(Row(f"study.auc.{arm.name}", value, "AUC", frozen, value / frozen, len(means), note))
    return rows


def error_rates(found: Outcomes) -> list[Row]:
    """How far the live error-rate estimate is off, and how often its interval holds the truth."""
    months = [month for outcome in found[AUDITED.name] for month in outcome.errors.values() if month.audits]
    off = float(np.mean([abs(month.value - month.truth) for month in months]))
    held = float(np.mean([_holds(month) for month in months]))
    audits = float(np.mean([month.audits for month in months]))
    width = float(np.mean([month.high - month.low for month in months]))
    return [
        Row("study.error_rate.mae", off, "", n=len(months), note=f"months of {audits:.0f} audited answers on average"),
        Row("study.error_rate.coverage", held, "", 0.95, held / 0.95, len(months), f"intervals {width:.3f} wide"),
    ]


def poison(found: Outcomes) -> list[Row]:
    """What each attack costs in served AUC, against the same seeds without it."""
    rows = []
    for arm in POISON:
        calm, hit = found[AUDITED.name], found[arm.name]
        losses = [before.mean - after.mean for before, after in zip(calm, hit, strict=True)]
        told = sum(each.lies_told for each in hit) // len(hit)
        weight = float(np.mean([each.liars for each in hit]))
        caught = sum(each.caught for each in hit) // len(hit)
        wronged = sum(each.wronged for each in hit) // len(hit)
        left_out = f"{caught:,} of them and {wronged:,} honest words left out"
        note = f"seeds {_listed(losses)}; {told:,} lies told, {left_out}, {weight:.1%} of the weight is theirs"
        rows.append(Row(f"study.{arm.name}.loss", float(np.mean(losses)), "AUC", n=len(losses), note=note))
    return rows


def ablation(found: Outcomes) -> list[Row]:
    """What served AUC loses without a part; below zero: it is better off without."""
    pairs = {
        "base": (AUDITED.name, "no_base"),
        "weights": (AUDITED.name, "naive"),
        "resolution": ("second_thoughts", "second_thoughts_unresolved"),
        "outliers": ("half_broken_feed", "half_broken_feed_unfenced"),
        "recency": ("recency", AUDITED.name),
    }
    rows = []
    for part, (whole, without) in pairs.items():
        losses = [a.mean - b.mean for a, b in zip(found[whole], found[without], strict=True)]
        note = f"{whole} against {without}; seeds {_listed(losses)}"
        rows.append(Row(f"study.ablation.{part}", float(np.mean(losses)), "AUC", n=len(losses), note=note))
    return rows


def gates(found: Sequence[Verdicts]) -> list[Row]:
    """The share of candidates without merit that came to serve: by the spec's gates, and by other confidences."""
    n, promoted = len(found), sum(each.passed for each in found)
    note = f"the flights' own gates: {promoted} of {n}"
    rows = [Row("study.gate.false_promotions", promoted / n, "", 0.05, promoted / n / 0.05, n, note)]
    for confidence in OTHER_CONFIDENCES:
        passed, aim = sum(each.at(confidence) for each in found), (1.0 - confidence) / 2.0
        name = f"study.gate.false_promotions_at_{confidence:g}"
        rows.append(Row(name, passed / n, "", aim, passed / n / aim, n, f"gates.confidence {confidence:g}: {passed}"))
    return rows


def _holds(month: Month) -> bool:
    return month.low <= month.truth <= month.high


def _listed(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.4f}" for value in values)
