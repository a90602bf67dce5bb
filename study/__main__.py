"""`make study`: what the method is worth on real flights; writes `.flywheel/results/study.json`."""

import argparse
import json
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from typing import Any

from rich.console import Console
from rich.progress import Progress

from benchmarks import results
from benchmarks.results import Row
from study import plots, rollout, tables
from study.gates import Verdicts
from study.outcomes import Outcome, Size
from study.work import GATE_CHUNK, ceiling, one_replay, some_gates

GATE_ROUNDS = 200
PARTS = (*tables.PARTS, "gate", "rollout")


def study(parts: Sequence[str], seeds: int, size: Size, workers: int, rounds: int = GATE_ROUNDS) -> list[Row]:
    """Run the parts and give their rows."""
    arms = {arm.name: arm for part in parts for arm in tables.PARTS.get(part, ())}
    context = multiprocessing.get_context("spawn")
    found: dict[str, dict[int, Outcome]] = {name: {} for name in arms}
    verdicts: list[Verdicts] = []
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        jobs: dict[Future[dict[str, Any]], tuple[str, int]] = {}
        if "learning" in parts:
            jobs[pool.submit(ceiling, size)] = (tables.ALL_LABELS, 0)
        for seed in range(seeds):
            jobs |= {pool.submit(one_replay, arm, seed, size): (name, seed) for name, arm in arms.items()}
        if "gate" in parts:
            jobs |= {pool.submit(some_gates, n, size): ("gate", n) for n in range(0, rounds, GATE_CHUNK)}
        for (name, seed), told in _with_progress(jobs):
            if name == "gate":
                verdicts += [Verdicts(**each) for each in told["verdicts"]]
            else:
                found.setdefault(name, {})[seed] = Outcome.decode(told)
    outcomes = {name: [by_seed[seed] for seed in sorted(by_seed)] for name, by_seed in found.items()}
    makers = {
        "learning": tables.learning,
        "error_rate": tables.error_rates,
        "poison": tables.poison,
        "ablation": tables.ablation,
    }
    plots.draw(outcomes, parts, results.FOLDER)
    rows = [row for part, make in makers.items() if part in parts for row in make(outcomes)]
    rows += tables.gates(verdicts) if "gate" in parts else []
    return rows + (rollout.run() if "rollout" in parts else [])


def _with_progress(
    jobs: dict[Future[dict[str, Any]], tuple[str, int]],
) -> Iterator[tuple[tuple[str, int], dict[str, Any]]]:
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("replaying", total=len(jobs))
        for done in as_completed(jobs):
            name, seed = jobs[done]
            progress.update(task, advance=1, description=f"{name} {seed}")
            yield (name, seed), done.result()


def merged(rows: Sequence[Row]) -> list[Row]:
    """`rows`, and those of parts that were run before and not now."""
    path = results.FOLDER / "study.json"
    before = [Row(**each) for each in json.loads(path.read_text(encoding="utf-8"))] if path.exists() else []
    names = {row.name for row in rows}
    return [*(row for row in before if row.name not in names), *rows]


def main() -> None:
    """Runs the parts that were named, or all. Replays that were run by the same code before are not run again."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    parser = argparse.ArgumentParser(prog="make study", description=__doc__)
    parser.add_argument("parts", nargs="*", default=[], metavar="PART", help=f"any of: {', '.join(PARTS)}")
    parser.add_argument("--seeds", type=int, default=3, help="how often each replay is run, with other people (3)")
    parser.add_argument("--workers", type=int, default=2, help="processes at once (2)")
    asked = parser.parse_args()
    parts = asked.parts or list(PARTS)
    if unknown := sorted(set(parts).difference(PARTS)):
        parser.error(f"there is no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    results.write("study", merged(study(parts, asked.seeds, Size(), asked.workers)))


if __name__ == "__main__":
    main()
