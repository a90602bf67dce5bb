"""The picture: how good each way of learning was in each month, and which version served when."""

import calendar
from datetime import date
from io import BytesIO
from typing import TYPE_CHECKING

from flights.outcome import ALL_LABELS, FROZEN, NAIVE, SERVED, Outcome
from flights.story import served_in_turn

if TYPE_CHECKING:
    from matplotlib.axes import Axes

YEAR = 2013
# Okabe and Ito's colours, which the colour-blind can tell apart.
STYLES = {
    ALL_LABELS: ("#009E73", "--", "all labels known"),
    SERVED: ("#0072B2", "-", "Flywheel, as served"),
    FROZEN: ("#777777", "-", "frozen: never retrained"),
    NAIVE: ("#D55E00", ":", "naive: feedback as it came"),
}


def names(outcome: Outcome) -> dict[str, str]:
    """What each line that was drawn is called."""
    called = {line: style[2] for line, style in STYLES.items() if line in outcome.lines}
    if outcome.naive:
        called[SERVED] = "served, weights off"
        called.pop(NAIVE, None)
    return called


def png(outcome: Outcome) -> bytes:
    """The picture as PNG."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, (above, below) = plt.subplots(
        2, 1, figsize=(10, 6.6), height_ratios=[4, 1], sharex=True, layout="constrained", dpi=130
    )
    _draw_lines(above, outcome)
    _draw_versions(below, outcome)
    out = BytesIO()
    figure.savefig(out, format="png")
    plt.close(figure)
    return out.getvalue()


def _middle(month: int) -> int:
    return date(YEAR, month, 15).toordinal()


def _draw_lines(axes: "Axes", outcome: Outcome) -> None:
    for line, name in names(outcome).items():
        colour, dashes, _ = STYLES[line]
        months = [_middle(month) for month in outcome.lines[line]]
        label = f"{name} ({outcome.mean(line):.3f})"
        axes.plot(
            months, list(outcome.lines[line].values()), dashes, color=colour, lw=2.2, marker="o", ms=4, label=label
        )
    months = list(outcome.lines[FROZEN])
    axes.set_xticks([_middle(month) for month in months], [calendar.month_abbr[month] for month in months])
    axes.tick_params(labelbottom=True)
    axes.set_ylabel("AUC on the flights of the month")
    axes.set_title(
        "Will it arrive more than 15 minutes late? New York 2013; averages in brackets", loc="left", fontsize=11, pad=30
    )
    axes.grid(axis="y", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(
        frameon=False,
        ncols=4,
        loc="lower left",
        bbox_to_anchor=(-0.01, 1.0),
        fontsize=8.5,
        columnspacing=1.2,
        handlelength=1.5,
    )


def _draw_versions(axes: "Axes", outcome: Outcome) -> None:
    chapters = served_in_turn(outcome.chapters)
    for place, chapter in enumerate(chapters):
        assert chapter.from_date is not None
        assert chapter.to_date is not None
        days = max((chapter.to_date - chapter.from_date).days, 1)
        axes.barh(0, days, left=chapter.from_date.toordinal(), color="#0072B2" if place % 2 else "#56B4E9", height=0.6)
        middle = chapter.from_date.toordinal() + days / 2
        axes.text(middle, 0, chapter.version, ha="center", va="center", color="white", fontsize=9)
    axes.set_yticks([])
    axes.tick_params(labelbottom=False, bottom=False)
    axes.set_title("Version serving", loc="left", fontsize=11)
    axes.spines[["top", "right", "left"]].set_visible(False)
