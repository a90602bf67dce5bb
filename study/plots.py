"""Pictures of a study, for docs/learning.md."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np

from study import tables
from study.outcomes import Outcome

mpl.use("Agg")

import matplotlib.pyplot as plt

Outcomes = Mapping[str, Sequence[Outcome]]
COLOURS = {"frozen": "#888888", "naive": "#c44e52", "audited_2": "#1f6fb2", "all_labels": "#4c9f70"}


def learning(found: Outcomes, path: Path) -> None:
    """AUC by month of what four ways of learning served, averaged over the seeds."""
    lines = {"frozen": [found[tables.AUDITED.name][0].frozen], "all_labels": [found[tables.ALL_LABELS][0].auc]}
    lines |= {name: [each.auc for each in found[name]] for name in ("naive", tables.AUDITED.name)}
    figure, axes = plt.subplots(figsize=(7.2, 3.4), layout="constrained")
    for name, colour in COLOURS.items():
        months = sorted(lines[name][0], key=int)
        values = [float(np.mean([each[month] for each in lines[name]])) for month in months]
        axes.plot([int(month) for month in months], values, color=colour, marker="o", label=name.replace("_", " "))
    axes.set(xlabel="month of 2013", ylabel="served AUC")
    axes.legend(frameon=False, ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1.0), fontsize=8)
    _save(figure, path)


def error_rates(found: Outcomes, path: Path) -> None:
    """The audited estimate of each month's error rate with its interval, beside the truth."""
    figure, axes = plt.subplots(figsize=(7.2, 2.8), layout="constrained")
    outcome = found[tables.AUDITED.name][0]
    months = sorted(outcome.errors, key=int)
    seen = [outcome.errors[month] for month in months]
    value = np.array([each.value for each in seen])
    off = [value - np.array([each.low for each in seen]), np.array([each.high for each in seen]) - value]
    at = [int(month) for month in months]
    axes.errorbar(at, value, off, fmt="o", color=COLOURS["audited_2"], capsize=3, label="estimate, 95 % interval")
    axes.plot(at, [each.truth for each in seen], "x", color="#222222", label="truth")
    axes.set(xlabel="month of 2013", ylabel="error rate", ylim=(0, None))
    axes.legend(frameon=False, ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1.0), fontsize=8)
    _save(figure, path)


def draw(found: Outcomes, parts: Sequence[str], folder: Path) -> None:
    """The pictures that the parts give."""
    folder.mkdir(parents=True, exist_ok=True)
    if "learning" in parts:
        learning(found, folder / "study-learning.png")
    if "error_rate" in parts:
        error_rates(found, folder / "study-error-rate.png")


def _save(figure: "plt.Figure", path: Path) -> None:
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)
    plt.close(figure)
