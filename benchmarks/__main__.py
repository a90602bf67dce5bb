"""`make bench`: runs every benchmark on servers of its own and writes `.flywheel/results/bench.json`."""

import argparse
import importlib
import tempfile
from pathlib import Path

from rich.console import Console

from benchmarks import results
from flywheel_local.stack import Stack

PARTS = ("ingest", "processor", "lake", "inference", "training", "tracing", "console")


def main() -> None:
    """Runs the parts that were named, or all; each takes one to three minutes, the lake and training ten."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("parts", nargs="*", default=[], metavar="PART", help=f"any of: {', '.join(PARTS)}")
    wanted = parser.parse_args().parts or list(PARTS)
    if unknown := sorted(set(wanted).difference(PARTS)):
        parser.error(f"there is no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    console = Console(stderr=True)
    rows: list[results.Row] = []
    with tempfile.TemporaryDirectory(prefix="flywheel-bench-") as home, Stack(Path(home)).while_in_use() as stack:
        with console.status("starting Kafka, S3 and MLflow"):
            stack.start_servers()
        for part in wanted:
            with console.status(f"measuring {part}"):
                rows += importlib.import_module(f"benchmarks.{part}").run(stack.env)
    results.write("bench", rows)


if __name__ == "__main__":
    main()
