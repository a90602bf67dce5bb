"""Training on ten million rows of thirty features within bounded memory, streamed from a pinned Parquet file."""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.results import Row
from flywheel_schemas.spec import ModelSpec, parse_spec

ROWS, FEATURES, ROUNDS, LIMIT_GIB = 10_000_000, 30, 20, 6.0
_BATCH, _KIB_PER_GIB = 250_000, 1 << 20
_START_US = 1_767_225_600_000_000


def run(env: dict[str, str], rows: int = ROWS) -> list[Row]:  # noqa: ARG001 - it needs no server
    """Peak memory and seconds of one training, in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="flywheel-bench-training-") as folder:
        file = Path(folder) / "rows.parquet"
        _write(file, rows)
        command = [sys.executable, "-m", "benchmarks.training", str(file)]
        told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    note = f"{FEATURES} features, {ROUNDS} rounds at most, three fits, from a file of {told['megabytes']:.0f} MB"
    peak = told["peak_gib"]
    return [
        Row("bench.training.peak", peak, "GiB", LIMIT_GIB, peak / LIMIT_GIB, rows, note),
        Row("bench.training.seconds", told["seconds"], "s", n=rows),
    ]


def _spec() -> ModelSpec:
    features = "\n".join(f"  - {{name: f{k}, type: number}}" for k in range(FEATURES))
    return parse_spec(f"""
name: large
task: binary
label: {{name: y, values: ["no", "yes"], positive: "yes"}}
features:
{features}
training: {{rounds: {ROUNDS}}}
""")


def _write(file: Path, rows: int) -> None:
    """As the trainer pins a training set; a batch is a group of rows."""
    random, writer = np.random.default_rng(1), None
    for first in range(0, rows, _BATCH):
        n = min(_BATCH, rows - first)
        numbers = random.normal(size=(FEATURES, n)).round(3)
        right = numbers[0] + numbers[1] * numbers[2] + random.normal(size=n) > 0.0
        columns = {f"f{k}": numbers[k] for k in range(FEATURES)} | {
            "label": np.where(right, "yes", "no"),
            "occurred_at": pa.array(_START_US + 1_000_000 * np.arange(first, first + n), pa.timestamp("us", "UTC")),
            "_weight": np.ones(n),
            "_split": np.where(np.arange(first, first + n) < 0.8 * rows, "train", "holdout"),
        }
        table = pa.table(columns)
        writer = writer or pq.ParquetWriter(file, table.schema, compression="zstd", compression_level=1)
        writer.write_table(table, row_group_size=_BATCH)
    if writer is not None:
        writer.close()


def _train(file: Path) -> dict[str, float]:
    from trainer.adapters.learner import LightGbm
    from trainer.adapters.parquet_rows import ParquetRows
    from trainer.application import fitting
    from trainer.domain.parameters import parameters

    spec, began = _spec(), time.perf_counter()
    fitting.fit_rows(LightGbm(), spec, ParquetRows(file, spec), parameters(spec, num_threads=2))
    return {
        "seconds": time.perf_counter() - began,
        # Linux counts it in KiB.
        "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _KIB_PER_GIB,
        "megabytes": file.stat().st_size / 1e6,
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_train(Path(sys.argv[1]))))
