"""Rollouts on real flights with every process: a bad challenger goes, a good one comes, killed processes go on."""

import json
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest

from flights.data import FEATURES, flights
from flywheel_schemas.spec import dump_spec, load_spec
from tests.http import http
from tests.waiting import until

SPEC = Path(__file__).parents[2] / "examples/flights/flights.yaml"
MODEL = "rollout-flights"
SETTINGS: dict[str, Any] = {
    "name": MODEL,
    "feedback": {"audit_percent": 100},
    "retrain": {"feedback_count": None},
    "training": {"rounds": 40, "params": {"num_leaves": 8}},
    "gates": {"metric": "auc", "min_gain": -0.05, "max_slice_loss": 1.0, "max_latency": "1s"},
    "rollout": {
        "strategy": "canary",
        "shadow": {"min_predictions": 40},
        "steps": [30, 60],
        "min_feedback": 60,
        "guardrails": {"quality_loss_above": 0.15, "p99_above": "5s"},
    },
}


class Crowd:
    """People who ask about flights and, an instant later, tell how each ended. Asks one replica, then the other."""

    def __init__(self, replicas: list[str], ingest: str) -> None:
        self._replicas, self._ingest = replicas, ingest
        self._flights = flights().filter((pl.col("month") == 3) & pl.col("label").is_not_null()).sample(4000, seed=1)
        self._http = httpx.Client(timeout=30)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.failed: list[str] = []
        self.users: dict[str, set[tuple[str, str]]] = {}
        self.answered: dict[str, int] = {}
        self.quiet = False

    def __enter__(self) -> "Crowd":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)

    def _run(self) -> None:
        number = 0
        while not self._stop.is_set():
            rows = self._flights.slice(number % 3900, 20)
            number += 20
            words = [self._ask(number + place, row) for place, row in enumerate(rows.iter_rows(named=True))]
            self._tell([word for word in words if word is not None])

    def _ask(self, number: int, row: dict[str, Any]) -> dict[str, Any] | None:
        instance = {name: row[name] for name in FEATURES if row[name] is not None}
        user = f"user-{number % 97}"
        url = f"{self._replicas[number % len(self._replicas)]}/v1/models/{MODEL}/predict"
        try:
            reply = self._http.post(url, json={"instances": [instance], "user_id": user})
        except httpx.TransportError as exc:
            if not self.quiet:
                self.failed.append(repr(exc))
            return None
        if reply.status_code != 200:
            if not self.quiet:
                self.failed.append(reply.text)
            return None
        [answer] = reply.json()["predictions"]
        version, variant = answer["model_version"], answer["variant"]
        self.answered[version] = self.answered.get(version, 0) + 1
        self.users.setdefault(user, set()).add((version, variant))
        kind = "confirmation" if answer["label"] == row["label"] else "correction"
        word = {"event_id": str(uuid.uuid4()), "kind": kind, "feedback_token": answer["feedback_token"]}
        return word | {"label": row["label"], "model": MODEL, "user_id": user}

    def _tell(self, words: list[dict[str, Any]]) -> None:
        try:
            reply = self._http.post(f"{self._ingest}/v1/feedback/batch", json=words) if words else None
        except httpx.TransportError as exc:
            self.failed.append(repr(exc))
            return
        if reply is not None and reply.status_code != 202:
            self.failed.append(reply.text)


class Desk:
    """Whoever runs the stack."""

    def __init__(self, running: Any, folder: Path) -> None:
        self.stack, self._env, self._folder = running.stack, {**running.command_env, **running.stack.env}, folder
        self.known = pl.DataFrame()
        self.stack.scale("inference", 2)
        env = self.stack.env
        self.trainer, self.ingest = env["TRAINER_URL"], env["INGEST_URL"]
        self.replicas = [address for name, address, _ in self.stack.addresses() if name.startswith("inference")]

    def flywheel(self, *arguments: str) -> Any:
        command = [sys.executable, "-m", "flywheel_cli", *arguments, "--json"]
        done = subprocess.run(command, env=self._env, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    def add(self, rows: pl.DataFrame) -> Any:
        spec = load_spec(SPEC).model_dump()
        spec_file, base = self._folder / "spec.yaml", self._folder / "base.parquet"
        parts = {name: spec[name] | value if isinstance(value, dict) else value for name, value in SETTINGS.items()}
        spec_file.write_text(dump_spec(type(load_spec(SPEC)).model_validate(spec | parts)))
        rows.rename({"label": "delay"}).write_parquet(base)
        return self.flywheel("model", "add", str(spec_file), "--base", str(base))

    def rollout(self) -> Any:
        return http.get(f"{self.trainer}/v1/models/{MODEL}/rollout", timeout=30).json()

    def served(self) -> list[tuple[str, str | None]]:
        shown = [http.get(f"{url}/v1/models/{MODEL}", timeout=30).json() for url in self.replicas]
        return [(each["champion"], each["challenger"]) for each in shown]

    def becomes(self, state: str, timeout_s: float = 240.0) -> Any:
        def shown() -> Any:
            try:
                found = self.rollout()
            except httpx.TransportError:
                return None
            return found if found.get("state") == state else None

        return until(shown, timeout_s, f"a rollout that is {state}: {self.rollout()}", every_s=0.2)


@pytest.fixture(scope="module")
def desk(running_stack: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    made = Desk(running_stack, tmp_path_factory.mktemp("rollout"))
    known = flights().filter((pl.col("month") <= 2) & pl.col("label").is_not_null()).sample(12_000, seed=2)
    made.known = known.select(*FEATURES, "label", pl.col("scheduled_at").alias("occurred_at")).sort("occurred_at")
    assert made.add(made.known.head(6000))["outcome"] == "promoted"
    until(lambda: made.served() == [("1", None)] * 2, 30, "both replicas to serve version 1")
    yield made
    made.stack.scale("inference", 1)


def test_a_challenger_that_learned_shifted_labels_passes_its_gates_and_live_evidence_takes_it_back(desk: Desk) -> None:
    turned = pl.when(pl.col("label") == "late").then(pl.lit("on_time")).otherwise(pl.lit("late")).alias("label")
    assert desk.add(desk.known.with_columns(turned))["rollout"] == "shadow"
    with Crowd(desk.replicas, desk.ingest) as crowd:
        ended = desk.becomes("rolled_back")
        until(lambda: desk.served() == [("1", None)] * 2, 30, "both replicas to be without the challenger")
    assert "worse by" in ended["why"]
    assert not crowd.failed
    assert crowd.answered["2"] < crowd.answered["1"]
    assert ended["disagreement"]["answers"] >= 40


def test_a_good_challenger_gets_through_all_steps_though_every_process_is_killed_on_the_way(desk: Desk) -> None:
    assert desk.add(desk.known)["rollout"] == "shadow"
    with Crowd(desk.replicas, desk.ingest) as crowd:
        desk.becomes("canary")
        crowd.quiet = True
        for name in ("trainer", "stream-processor", "inference"):
            desk.stack.kill(name)
        with ThreadPoolExecutor() as pool:
            list(pool.map(desk.stack.restart, ("trainer", "stream-processor", "inference")))
        until(lambda: set(desk.served()) <= {("1", "3"), ("3", None)}, 30, "the challenger in both replicas again")
        crowd.quiet = False
        desk.becomes("promoted", 90.0)
        until(lambda: desk.served() == [("3", None)] * 2, 30, "both replicas to agree")
    assert not crowd.failed
    assert crowd.answered["3"] > 0
    met = [versions for versions in crowd.users.values() if len(versions - {("3", "champion"), ("1", "champion")}) > 1]
    assert not met


def test_a_rollback_by_command_reaches_both_replicas_and_the_audit_log_says_who(desk: Desk) -> None:
    until(lambda: desk.served() == [("3", None)] * 2, 30, "version 3")
    url, asked = f"{desk.trainer}/v1/models/{MODEL}/rollback", {"reason": "the desk says so"}
    with ThreadPoolExecutor() as pool:
        back = pool.submit(httpx.post, url, json=asked, timeout=30)
        until(lambda: desk.served() == [("1", None)] * 2, 30, "version 1")
    assert back.result().status_code == 202
    newest = desk.flywheel("model", "audit-log", MODEL)[0]
    assert (newest["action"], newest["version"], newest["who"]) == ("rolled_back", "3", "anonymous")
    assert newest["reason"] == "the desk says so"
