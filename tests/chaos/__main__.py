"""`make chaos`: a stack of its own, load, and every kind of damage; ends with an account of every event."""

import argparse
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from benchmarks import results
from flywheel_local.stack import Stack
from tests.chaos import staging
from tests.chaos.faults import FAULTS
from tests.chaos.harness import Harness, Outcome, Plan


def main() -> int:
    """Exit code 0 when nothing was lost, doubled or invented."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("faults", nargs="*", metavar="FAULT", help=f"any of: {', '.join(FAULTS)}")
    parser.add_argument("--repeats", type=int, default=3, help="how often each process is killed")
    parser.add_argument("--seed", type=int, default=1, help="of the load and of the moments of damage")
    parser.add_argument("--home", type=Path, help="keep state and logs in this folder")
    given = parser.parse_args()
    faults = tuple(given.faults) or tuple(FAULTS)
    if unknown := sorted(set(faults) - FAULTS.keys()):
        parser.error(f"there is no fault {', '.join(unknown)}; there are {', '.join(FAULTS)}")
    with tempfile.TemporaryDirectory(prefix="flywheel-chaos-") as temporary:
        return _run(given.home or Path(temporary), Plan(faults, given.repeats, seed=given.seed))


def _run(home: Path, plan: Plan) -> int:
    console = Console(stderr=True)
    outcomes: list[Outcome] = []
    try:
        with Stack(home).while_in_use() as stack, console.status("starting the stack") as status:
            staging.prepare(stack, plan.faults)
            harness = Harness(stack, plan, ask_inference=staging.serves(plan.faults), say=status.update)
            for outcome in harness.outcomes():
                outcomes.append(outcome)
                console.print(f"{outcome.fault}: {'balanced' if outcome.balanced else 'WRONG'}")
    finally:
        if outcomes:
            results.write("chaos", [row for outcome in outcomes for row in outcome.rows()])
    return 0 if all(outcome.balanced for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
