"""The whole demo, from nothing to a report."""

import asyncio
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from rich.console import Console

from benchmarks import results
from flights import account, data, lines, plot, report, stage
from flights.calls import MODEL, Calls, Tally
from flights.crowd import Crowd
from flights.lines import Moment
from flights.outcome import ALL_LABELS, FROZEN, NAIVE, SERVED, Outcome
from flights.replay import Pace, Replay, Served
from flights.screen import Screen
from flights.story import Chapter, Story, served_in_turn
from flywheel_local.stack import Stack
from flywheel_schemas.spec import ModelSpec
from lake import Lake, LakeSettings, read
from registry import Registry, RegistrySettings
from trainer.domain.training_set import Sources

STORED_TIMEOUT_S, TRAINED_TIMEOUT_S = 60.0, 90.0


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be shown. `share` is the part of the flights that is replayed."""

    months: int
    naive: bool
    seed: int
    seconds_per_month: float
    share: float
    spec: Path


def run(wish: Wish, home: Path, folder: Path, console: Console) -> Outcome:
    """Run the demo on a stack in `home`, print the report and write it to `folder`."""
    began_s = time.monotonic()
    flights = _sample(data.replayed(wish.months), wish.share)
    spec = stage.spec(wish.spec, naive=wish.naive)
    screen = Screen(console, flights.height)
    with stage.fresh_stack(home, screen.say) as stack:
        screen.say(f"training the first version on {data.base().height:,} flights of January and February")
        stage.add_model(stack, spec)
        served, tally, replay_s = _replay(wish, stack, flights, screen)
        screen.say("waiting for what is still on its way")
        # The libraries read their settings where every service does.
        os.environ.update(stack.env)
        lake, registry = Lake(LakeSettings()), Registry(RegistrySettings())
        answers = int(np.isfinite(served.score).sum())
        settled = account.wait_until_stored(lake, tally.accepted, answers, STORED_TIMEOUT_S)
        settled &= account.wait_until_trained(lake, registry, TRAINED_TIMEOUT_S)
        screen.say("asking what other ways of learning would have served")
        chapters = Story(flights, served, lake, registry).chapters(tally.first_answer)
        outcome = Outcome(
            months=wish.months,
            naive=wish.naive,
            chapters=chapters,
            lines=_lines(spec, flights, served, chapters, lake=lake, registry=registry),
            account=_account(lake, tally),
            tally=tally,
            answers=answers,
            answers_stored=read.predictions(lake, MODEL).select(pl.col("prediction_id").n_unique()).collect().item(),
            settled=settled,
            replay_s=replay_s,
            total_s=time.monotonic() - began_s,
        )
    _publish(outcome, folder, console)
    return outcome


def _sample(flights: pl.DataFrame, share: float) -> pl.DataFrame:
    """Every so-manieth flight."""
    step = max(round(1.0 / share), 1)
    return flights if step == 1 else flights.gather_every(step)


def _replay(wish: Wish, stack: Stack, flights: pl.DataFrame, screen: Screen) -> tuple[Served, Tally, float]:
    days = (flights["scheduled_at"].max() - flights["scheduled_at"].min()).days + 1  # type: ignore[operator,union-attr]
    pace = Pace(wish.seconds_per_month * wish.months / days)
    began_s = time.monotonic()

    async def replay() -> tuple[Served, Tally]:
        async with Calls(stack.env["INFERENCE_URL"], stack.env["INGEST_URL"]) as calls:
            replayed = Replay(flights, Crowd(flights.height, wish.seed), calls, pace)
            return await replayed.run(screen.tell), calls.tally

    with screen.bar():
        served, tally = asyncio.run(replay())
    return served, tally, time.monotonic() - began_s


def _account(lake: Lake, tally: Tally) -> account.Account:
    return account.account(tally.accepted, account.event_ids(lake, "feedback"), account.event_ids(lake, "quarantine"))


def _lines(
    spec: ModelSpec,
    flights: pl.DataFrame,
    served: Served,
    chapters: list[Chapter],
    *,
    lake: Lake,
    registry: Registry,
) -> Mapping[str, Mapping[int, float]]:
    by_version = {version.version: version for version in registry.versions(MODEL)}
    first_text = registry.artifacts.get(by_version["1"].artifact_uri, "model.txt").decode()
    moments = [_moment(each, by_version[each.version].dataset_versions, lake) for each in served_in_turn(chapters)[1:]]
    scores = {
        ALL_LABELS: lines.all_labels(first_text, spec, flights, moments),
        SERVED: served.score,
        FROZEN: lines.frozen(first_text, spec, flights),
        NAIVE: lines.naive(first_text, spec, flights, moments),
    }
    return {name: lines.by_month(score, flights) for name, score in scores.items()}


def _moment(chapter: Chapter, versions: Mapping[str, int], lake: Lake) -> Moment:
    frames = {kind: read.of(lake, MODEL, kind, version).collect() for kind, version in versions.items()}  # type: ignore[arg-type]
    sources = Sources(frames["base"], frames["feedback"], frames["predictions"].drop("scores", strict=False))
    at = sources.feedback["occurred_at"].max()
    assert chapter.first is not None
    return Moment(chapter.version, chapter.first, at, sources)  # type: ignore[arg-type]


def _publish(outcome: Outcome, folder: Path, console: Console) -> None:
    name = "demo-naive" if outcome.naive else "demo"
    picture = plot.png(outcome)
    report.show(outcome, console)
    path = results.write(name, outcome.rows(), folder, console)
    path.with_suffix(".png").write_bytes(picture)
    path.with_suffix(".html").write_text(report.page(outcome, picture), encoding="utf-8")
    console.print(
        f"  the page: {path.with_suffix('.html')}; the picture: {path.with_suffix('.png')}",
        markup=False,
        soft_wrap=True,
    )
