"""The report: tables for the terminal, one page for the browser."""

import base64
import calendar
import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from statistics import median
from string import Template

from rich.console import Console
from rich.table import Table

from flights import plot
from flights.outcome import FROZEN, SERVED, Outcome
from flights.story import Chapter

PAGE = Path(__file__).with_name("page.html")
VERSION_HEADINGS = (
    *("version", "state", "served", "flights", "accuracy", "precision", "recall", "AUC"),
    *("estimated error (audits)", "true error", "satisfaction", "taught by", "dataset", "live after"),
)


def show(outcome: Outcome, console: Console) -> None:
    """Print every table."""
    console.print(_table("Model versions", VERSION_HEADINGS, _version_cells(outcome)))
    console.print(_table("AUC by month", *_line_cells(outcome)))
    for sentence in sentences(outcome):
        console.print(f"  {sentence}", markup=False)


def sentences(outcome: Outcome) -> list[str]:
    """The account, the requests, the times, and how far the served line got."""
    account, tally, delays = outcome.account, outcome.tally, outcome.delays_s()
    found = [
        f"{tally.sent:,} requests sent ({tally.predict_requests:,} to inference, {tally.feedback_requests:,} to "
        f"ingest), {len(tally.failures)} failed; {outcome.answers:,} predictions, all in the lake: "
        f"{'yes' if outcome.answers == outcome.answers_stored else 'NO'}",
        f"{account.accepted:,} events accepted = {account.stored:,} in the lake + {account.duplicates:,} duplicates + "
        f"{account.quarantined:,} quarantined; lost {account.lost}, doubled {account.doubled}; "
        f"{tally.refused:,} malformed ones refused",
    ]
    if delays:
        found.append(
            f"{outcome.promoted} versions promoted after the first; from threshold to serving "
            f"{median(delays):.1f} s (median), {max(delays):.1f} s (slowest)"
        )
    if math.isfinite(outcome.covered):
        found.append(f"{plot.names(outcome)[SERVED]}: {outcome.covered:.2f} of the way from frozen to all labels known")
    found.append(f"replay {outcome.replay_s:.0f} s, everything {outcome.total_s:.0f} s")
    return found


def page(outcome: Outcome, picture: bytes) -> str:
    """One self-contained HTML page."""
    broken = "".join(f"<li>{escape(sentence)}</li>" for sentence in outcome.broken())
    return Template(PAGE.read_text(encoding="utf-8")).substitute(
        verdict=f'<ul class="broken">{broken}</ul>' if broken else "",
        sentences="".join(f"<li>{escape(sentence)}</li>" for sentence in sentences(outcome)),
        picture=base64.b64encode(picture).decode(),
        alternative=escape(_alternative(outcome)),
        versions=_html_table(VERSION_HEADINGS, _version_cells(outcome)),
        lines=_html_table(*_line_cells(outcome)),
        rejected="".join(f"<li>{escape(sentence)}</li>" for sentence in _refusals(outcome.chapters)) or "<li>none</li>",
    )


def _version_cells(outcome: Outcome) -> list[list[str]]:
    return [_cells(chapter) for chapter in outcome.chapters]


def _cells(chapter: Chapter) -> list[str]:
    quality, estimate = chapter.quality, chapter.estimated_error
    served = f"{chapter.from_date:%d %b} to {chapter.to_date:%d %b}" if chapter.from_date and chapter.to_date else "-"
    estimated = f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}] ({estimate.audits})"
    delay = chapter.threshold_to_serving_s
    return [
        chapter.version,
        chapter.state,
        served,
        f"{quality.rows:,}" if quality.rows else "-",
        *(_number(value) for value in (quality.accuracy, quality.precision, quality.recall, quality.auc)),
        estimated if estimate.is_informed else "-",
        _number(1.0 - quality.accuracy),
        f"{chapter.satisfaction:.2f} of 5 ({chapter.ratings})" if chapter.ratings else "-",
        _taught(chapter.taught),
        "base" if chapter.dataset_version is None else str(chapter.dataset_version),
        "-" if delay is None else f"{delay:.1f} s",
    ]


def _taught(kinds: Mapping[str, int]) -> str:
    return (
        ", ".join(
            f"{count:,} {kind}s" if kind != "audited" else f"{count:,} asked for" for kind, count in kinds.items()
        )
        or "base"
    )


def _line_cells(outcome: Outcome) -> tuple[tuple[str, ...], list[list[str]]]:
    months = list(outcome.lines[FROZEN])
    headings = ("", *(calendar.month_abbr[month] for month in months), "average")
    cells = [
        [name, *(_number(outcome.lines[line].get(month, math.nan)) for month in months), _number(outcome.mean(line))]
        for line, name in plot.names(outcome).items()
    ]
    return headings, cells


def _refusals(chapters: Sequence[Chapter]) -> list[str]:
    return [f"version {each.version}: {each.reason}" for each in chapters if each.state == "rejected"]


def _alternative(outcome: Outcome) -> str:
    averages = (f"{name} {outcome.mean(line):.3f}" for line, name in plot.names(outcome).items())
    return f"AUC by month for each way of learning; on average {', '.join(averages)}"


def _number(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "-"


def _table(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(title=title, title_justify="left")
    for heading in headings:
        table.add_column(heading, justify="left" if heading in {"", "state", "served", "taught by"} else "right")
    for row in rows:
        table.add_row(*row)
    return table


def _html_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(heading)}</th>' for heading in headings)
    body = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in row[1:])}</tr>'
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
