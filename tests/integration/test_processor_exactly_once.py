"""The processor as a process, on real Kafka and S3: killed, stopped, doubled. Nothing is lost or doubled."""

import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from flywheel_schemas.topics import (
    DATASET_COMMITTED,
)
from lake import versions
from tests.integration.processor_bench import metric, ready
from tests.waiting import until


@pytest.mark.parametrize("boundary", ["quarantine", "append", "publish", "dataset_committed"])
def test_killed_at_a_boundary_it_loses_and_doubles_nothing(bench, boundary):
    bench.send(200)
    worker = bench.start(dying=boundary)
    until(lambda: sum(bench.ids("feedback").values()) + sum(bench.ids("quarantine").values()) > 0)
    while worker.poll() is None:
        bench.send(50)
        time.sleep(0.3)
    assert worker.returncode == -signal.SIGKILL
    bench.start()
    bench.send(100)
    bench.reconcile()
    last = {(e["partition"], e["last_offset"]) for e in bench.announced(DATASET_COMMITTED)}
    flushes = [v.flush for v in versions.list_versions(bench.lake.table(bench.model, "feedback")) if v.flush]
    assert {(int(p), s["last_offset"]) for flush in flushes for p, s in flush["partitions"].items()} <= last


def test_killed_at_random_moments_it_loses_and_doubles_nothing(bench):
    for _ in range(3):
        worker = bench.start()
        before = sum(bench.ids("feedback").values())
        bench.send(150)
        until(lambda before=before: sum(bench.ids("feedback").values()) > before)
        bench.send(150)
        time.sleep(random.uniform(0.0, 0.6))
        worker.kill()
        worker.wait()
    bench.start()
    bench.reconcile()


def test_a_worker_that_was_stopped_past_its_session_doubles_nothing(bench):
    first = bench.start()
    bench.send(100)
    until(lambda: sum(bench.ids("feedback").values()) >= 100)
    second = bench.start()
    until(lambda: ready(second))
    bench.send(300)
    first.send_signal(signal.SIGSTOP)
    bench.send(300)
    until(lambda: len(bench.ids("feedback")) >= len(bench.sent))
    first.send_signal(signal.SIGCONT)
    bench.send(200)
    bench.reconcile()
    assert (first.poll(), second.poll()) == (None, None)


def test_a_worker_that_was_stopped_before_its_dead_letters_does_not_write_them_twice(bench):
    zombie = bench.start(dying="stop")
    until(lambda: ready(zombie))
    until(lambda: bench.send(60) or is_stopped(zombie))
    bench.start()
    bench.send(100)
    until(bench.complete)
    zombie.send_signal(signal.SIGCONT)
    bench.send(100)
    bench.reconcile()


def is_stopped(worker: Any) -> bool:
    return Path(f"/proc/{worker.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def test_two_workers_share_the_partitions(bench):
    workers = [bench.start(), bench.start()]
    for worker in workers:
        until(lambda worker=worker: ready(worker))
    bench.send(400)
    bench.reconcile()
    assigned = [(bench.home / f"worker-{n}.log").read_text() for n in range(2)]
    until(lambda: all('"partitions": [' in log for log in assigned))
    for worker in workers:
        assert metric(worker, 'flywheel_processor_records_total{topic="feedback-events"}') > 0
