import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.results import Row, figure, write


def test_results_are_a_file_for_programs_and_a_table_for_people(tmp_path: Path) -> None:
    rows = [Row("bench.a", 22_000.0, "requests/s", 48_000.0, 0.458, 3, "64 connections"), Row("bench.b", 0, "events")]
    shown = io.StringIO()
    path = write("bench", rows, tmp_path, Console(file=shown, width=120))
    assert path == tmp_path / "bench.json"
    assert json.loads(path.read_text()) == [
        {
            "name": "bench.a",
            "value": 22_000.0,
            "unit": "requests/s",
            "reference": 48_000.0,
            "ratio": 0.458,
            "n": 3,
            "note": "64 connections",
        },
        {"name": "bench.b", "value": 0, "unit": "events", "reference": None, "ratio": None, "n": None, "note": None},
    ]
    assert "22,000" in shown.getvalue()
    assert "64 connections" in shown.getvalue()
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("value", "shown"), [(None, ""), (0, "0"), (1_234_567.0, "1,234,567"), (9.5, "9.50"), (0.4583, "0.458")]
)
def test_figures_are_for_people(value: float | None, shown: str) -> None:
    assert figure(value) == shown
