"""`make demo`, small: real processes, real flights, and the promises that hold whatever the size."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from flights import data
from flywheel_local.server import repository
from flywheel_schemas.spec import dump_spec, load_spec

SPEC = Path(data.__file__).with_name("flights.yaml")
LIMIT_S = 570  # about a minute and a half on two cores that do nothing else
SHORT = ("--months", "1", "--seconds-per-month", "20", "--share", "0.25")


def small_spec(folder: Path) -> Path:
    """Retrains early, and lets through what is not clearly worse: a few hundred rows prove little."""
    spec = load_spec(SPEC)
    changed = spec.model_copy(
        update={
            "retrain": spec.retrain.model_copy(update={"feedback_count": 250}),
            "gates": spec.gates.model_copy(update={"min_gain": -0.5, "max_slice_loss": 1.0}),
        }
    )
    path = folder / "flights.yaml"
    path.write_text(dump_spec(changed), encoding="utf-8")
    return path


def command(folder: Path) -> list[str]:
    results = ("--spec", str(small_spec(folder)), "--results", str(folder / "results"))
    return [sys.executable, "-m", "flights", "demo", *SHORT, *results]


def living(home: Path) -> list[int]:
    """Processes that were started for the stack in `home`."""
    found = []
    for process in psutil.process_iter(["pid"]):
        try:
            if str(home) in process.environ().get("FLYWHEEL_PROCESS", "") + " ".join(process.cmdline()):
                found.append(process.pid)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return [pid for pid in found if pid != os.getpid()]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "FLYWHEEL_HOME": str(tmp_path / "home")}


@pytest.mark.timeout(600)
def test_the_loop_learns_loses_nothing_and_fails_no_request(tmp_path: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        command(tmp_path),
        cwd=repository(),
        env=environment,
        timeout=LIMIT_S,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = {row["name"]: row for row in json.loads((tmp_path / "results" / "demo.json").read_text())}
    assert rows["demo.requests_failed"]["value"] == 0
    assert rows["demo.requests_failed"]["n"] > 1000
    assert rows["demo.lost"]["value"] == rows["demo.doubled"]["value"] == 0
    assert rows["demo.lost"]["n"] > 800
    assert rows["demo.versions_promoted"]["value"] >= 1
    assert rows["demo.threshold_to_serving"]["value"] > 0
    assert all(0.6 < rows[f"demo.auc.{line}"]["value"] < 0.9 for line in ("frozen", "flywheel", "naive", "all_labels"))
    page = (tmp_path / "results" / "demo.html").read_text()
    assert "duplicates + 0 quarantined; lost 0, doubled 0" in page
    assert (tmp_path / "results" / "demo.png").read_bytes().startswith(b"\x89PNG")
    assert living(tmp_path / "home") == []


def test_an_interrupted_demo_leaves_nothing_running(tmp_path: Path, environment: dict[str, str]) -> None:
    with (tmp_path / "output").open("w") as output:
        demo = subprocess.Popen(command(tmp_path), cwd=repository(), env=environment, stdout=output, stderr=output)
    logs = tmp_path / "home" / "demo" / "logs"
    end = time.monotonic() + 200
    while not (logs / "s3.log").exists() and time.monotonic() < end:
        time.sleep(0.1)
    assert living(tmp_path / "home")
    demo.send_signal(signal.SIGINT)
    assert demo.wait(timeout=90) == 130, (tmp_path / "output").read_text()
    assert living(tmp_path / "home") == []
