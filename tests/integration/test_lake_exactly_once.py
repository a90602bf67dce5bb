"""Appends to a real S3: racing writers, a zombie, and a writer killed inside a commit."""

import os
import signal
import socket
import threading
import time
import uuid
from datetime import UTC, date, datetime
from multiprocessing.synchronize import Event

import polars as pl
import pyarrow as pa
import pytest

from flywheel_schemas.spec import parse_spec
from lake import Lake, LakeSettings, errors, locate, read, schema, versions
from lake.append import append_once, transaction_id, watermarks
from tests import forked

SPEC = parse_spec("""
name: fruit
task: binary
label: {name: ripe, values: ["no", "yes"], positive: "yes"}
features:
  - {name: weight, type: number}
""")


def rows(first: int, last: int, partition: int = 0) -> pa.Table:
    n = last - first + 1
    values = {name: [None] * n for name in schema.feedback(SPEC).names}
    values |= {
        "event_id": [str(uuid.uuid5(uuid.NAMESPACE_URL, f"{partition}/{i}")) for i in range(first, last + 1)],
        "label": ["yes"] * n,
        "kafka_partition": [partition] * n,
        "kafka_offset": list(range(first, last + 1)),
        "received_at": [datetime(2026, 3, 1, tzinfo=UTC)] * n,
        "event_date": [date(2026, 3, 1)] * n,
    }
    return pa.table(values, schema=schema.feedback(SPEC))


def settings(env: dict[str, str]) -> LakeSettings:
    return LakeSettings(**{k: v for k, v in env.items() if k.startswith(("LAKE_", "S3_", "AWS_"))})


@pytest.fixture
def lake(fresh_env: dict[str, str]) -> Lake:
    lake = Lake(settings(fresh_env))
    lake.ensure_bucket()
    lake.table("fruit", "feedback").ensure(schema.feedback(SPEC))
    return lake


def stored(lake: Lake, version: int | None = None) -> list[tuple[int, int]]:
    frame = read.feedback(lake, "fruit", version).select("kafka_partition", "kafka_offset")
    found = read.collect(frame, "fruit")
    return sorted(found.rows())


def flush_all(lake_settings: LakeSettings, partition: int, flushes: int, size: int) -> None:
    table = Lake(lake_settings).table("fruit", "feedback")
    app_id = transaction_id("feedback-events", partition)
    for k in range(flushes):
        append_once(table, rows(k * size, (k + 1) * size - 1, partition), app_id, (k + 1) * size - 1)


def test_three_writers_of_one_partition_store_each_row_once(lake):
    writers = [threading.Thread(target=flush_all, args=(lake.settings, 0, 30, 7)) for _ in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert stored(lake) == [(0, offset) for offset in range(210)]


def test_three_processes_of_one_partition_store_each_row_once(lake):
    writers = [forked.start(flush_all, lake.settings, 0, 15, 5) for _ in range(3)]
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    assert stored(lake) == [(0, offset) for offset in range(75)]


def test_writers_of_different_partitions_lose_nothing(lake):
    writers = [threading.Thread(target=flush_all, args=(lake.settings, p, 15, 5)) for p in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert stored(lake) == [(p, offset) for p in range(4) for offset in range(75)]


def test_a_zombie_appends_nothing_that_its_successor_stored(lake):
    zombie = Lake(lake.settings).table("fruit", "feedback")
    app_id = transaction_id("feedback-events", 0)
    append_once(zombie, rows(0, 4), app_id, 4)
    append_once(lake.table("fruit", "feedback"), rows(5, 14), app_id, 14)
    result = append_once(zombie, rows(5, 9), app_id, 9)
    assert not result.committed
    assert stored(lake) == [(0, offset) for offset in range(15)]


def test_more_commits_than_a_table_object_lives_for(lake):
    flush_all(lake.settings, 0, 65, 2)
    assert len(stored(lake)) == 130
    assert versions.row_count(lake.table("fruit", "feedback")) == 130
    assert len(versions.list_versions(lake.table("fruit", "feedback"))) == 66


class KillingProxy:
    """Stands between one writer and S3, and kills the writer at its first Delta commit.

    `before`: the commit never reaches S3, though the Parquet file has. `after`: S3 has it, and the answer is lost.
    """

    def __init__(self, upstream: str, boundary: str) -> None:
        self._host, _, port = upstream.removeprefix("http://").partition(":")
        self._port = int(port)
        self._boundary = boundary
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.victim: int | None = None
        self.seen: list[bytes] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            client, _ = self._listening.accept()
            server = socket.create_connection((self._host, self._port))
            committing = threading.Event()
            threading.Thread(target=self._upwards, args=(client, server, committing), daemon=True).start()
            threading.Thread(target=self._downwards, args=(client, server, committing), daemon=True).start()

    def _upwards(self, client: socket.socket, server: socket.socket, committing: threading.Event) -> None:
        while received := client.recv(65536):
            if received.startswith(b"PUT "):
                self.seen.append(received.split(b" ")[1])
                if b"/_delta_log/" in self.seen[-1]:
                    committing.set()
                    if self._boundary == "before":
                        self._kill()
                        return
            server.sendall(received)

    def _downwards(self, client: socket.socket, server: socket.socket, committing: threading.Event) -> None:
        while received := server.recv(65536):
            if committing.is_set():
                self._kill()
                return
            client.sendall(received)

    def _kill(self) -> None:
        assert self.victim is not None
        os.kill(self.victim, signal.SIGKILL)


def flush_when_told(lake_settings: LakeSettings, told: Event) -> None:
    told.wait()
    flush_all(lake_settings, 0, 1, 10)


@pytest.mark.parametrize("boundary", ["before", "after"])
def test_a_writer_killed_around_its_commit_loses_and_doubles_nothing(lake, fresh_env, boundary):
    proxy = KillingProxy(fresh_env["S3_ENDPOINT_URL"], boundary)
    told = forked.event()
    writer = forked.start(flush_when_told, settings({**fresh_env, "S3_ENDPOINT_URL": proxy.url}), told)
    proxy.victim = writer.pid
    told.set()
    writer.join(60)
    assert writer.exitcode == -signal.SIGKILL
    assert any(path.endswith(b".parquet") for path in proxy.seen)
    result = append_once(lake.table("fruit", "feedback"), rows(0, 12), transaction_id("feedback-events", 0), 12)
    assert result.rows_appended == (13 if boundary == "before" else 3)
    assert stored(lake) == [(0, offset) for offset in range(13)]


def test_writers_killed_at_random_moments_lose_and_double_nothing(lake):
    for k in range(5):
        writer = forked.start(flush_all, lake.settings, 0, 200, 3)
        deadline = time.monotonic() + 30
        app_id, table = transaction_id("feedback-events", 0), lake.table("fruit", "feedback")
        goal = watermarks(table.snapshot(fresh=True), [app_id])[app_id] + 20 + k
        while watermarks(table.snapshot(fresh=True), [app_id])[app_id] < goal and time.monotonic() < deadline:
            time.sleep(0.01)
        writer.kill()
        writer.join()
    snapshot = table.snapshot(fresh=True)  # of one moment: the last commit of a killed writer may be on its way yet
    last = watermarks(snapshot, [app_id])[app_id]
    assert last > 100
    assert stored(lake, snapshot.version()) == [(0, offset) for offset in range(last + 1)]


def test_an_event_is_found_with_the_version_that_first_held_it(lake):
    table = lake.table("fruit", "feedback")
    app_id = transaction_id("feedback-events", 0)
    append_once(table, rows(0, 4), app_id, 4)
    said = '{"partitions": {"0": {"first_offset": 5, "last_offset": 9}}}'
    version = append_once(table, rows(5, 9), app_id, 9, {"flywheel": said}).version
    append_once(table, rows(10, 11), app_id, 11)
    wanted = rows(7, 7).column("event_id")[0].as_py()
    found = locate.find_event(lake, wanted, ["fruit"])
    assert found is not None
    assert (found.status, found.dataset_version, found.kafka_offset) == ("stored", version, 7)
    assert locate.find_event(lake, str(uuid.uuid4()), ["fruit"]) is None


def test_an_old_version_reads_as_it_was(lake):
    table = lake.table("fruit", "feedback")
    app_id = transaction_id("feedback-events", 0)
    version = append_once(table, rows(0, 4), app_id, 4).version
    append_once(table, rows(5, 9), app_id, 9)
    old = read.collect(read.feedback(lake, "fruit", version).select(pl.len()), table.uri)
    assert old.item() == 5
    with pytest.raises(errors.VersionGone):
        table.at(9999)


def test_of_many_who_put_an_object_at_once_one_wins(lake):
    won: list[bool] = []
    racers = [
        threading.Thread(target=lambda: won.append(lake.objects.put_if_absent("fruit/_flywheel/once", b"x")))
        for _ in range(8)
    ]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert sorted(won) == [False] * 7 + [True]


def test_a_store_that_is_away_is_said_to_be_away(fresh_env):
    away = Lake(settings({**fresh_env, "S3_ENDPOINT_URL": "http://127.0.0.1:1"}))
    with pytest.raises(errors.LakeUnavailable, match="S3_ENDPOINT_URL"):
        away.table("fruit", "feedback").at(None)
    with pytest.raises(errors.LakeUnavailable, match="S3_ENDPOINT_URL"):
        away.objects.get("anything")


def test_wrong_keys_are_said_to_be_wrong(fresh_env):
    stranger = Lake(settings({**fresh_env, "AWS_SECRET_ACCESS_KEY": "wrong"}))
    with pytest.raises(errors.AccessDenied, match="AWS_SECRET_ACCESS_KEY"):
        stranger.table("fruit", "feedback").exists()
    with pytest.raises(errors.AccessDenied, match="AWS_SECRET_ACCESS_KEY"):
        stranger.objects.get("anything")
