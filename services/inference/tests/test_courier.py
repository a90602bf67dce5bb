import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from inference.adapters.courier import Courier
from inference.adapters.spool import Record, Spool, SpoolFull
from inference.application.answer import Answer
from inference.application.ports import Answered
from kafka_runtime.errors import BrokerUnavailable, KafkaRuntimeError, RecordRefused


def record(number: int) -> Record:
    return Record(f"{number:06d}".encode(), b"v" * 50, [("ce_id", b"x")])


def numbers(records: list[Record]) -> list[int]:
    return [int(each.key) for each in records]


def drain(spool: Spool, chunk: int = 7) -> list[int]:
    found: list[int] = []
    while waiting := spool.peek(chunk):
        found += numbers(waiting)
        spool.drop(waiting)
    return found


def test_a_spool_gives_back_in_order_over_many_segments_and_leaves_no_file(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 1_000_000, segment_bytes=500)
    for start in range(0, 100, 10):
        assert spool.append([record(n) for n in range(start, start + 10)]) == 10
    assert len(list(tmp_path.iterdir())) > 5
    assert drain(spool) == list(range(100))
    assert spool.empty
    assert spool.bytes == 0
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_spooled_is_found_by_the_next_and_comes_first(tmp_path: Path) -> None:
    Spool(tmp_path, 1_000_000).append([record(n) for n in range(5)])
    spool = Spool(tmp_path, 1_000_000)
    assert not spool.empty
    spool.append([record(n) for n in range(5, 8)])
    assert drain(spool) == list(range(8))


def test_a_torn_end_is_passed_over(tmp_path: Path) -> None:
    Spool(tmp_path, 1_000_000).append([record(n) for n in range(5)])
    [segment] = tmp_path.iterdir()
    segment.write_bytes(segment.read_bytes()[:-3])
    spool = Spool(tmp_path, 1_000_000)
    spool.append([record(9)])
    assert drain(spool) == [0, 1, 2, 3, 9]


def test_reading_and_writing_may_alternate(tmp_path: Path) -> None:
    spool, found = Spool(tmp_path, 1_000_000, segment_bytes=300), []
    for start in range(0, 60, 3):
        spool.append([record(n) for n in range(start, start + 3)])
        waiting = spool.peek(2)
        found += numbers(waiting)
        spool.drop(waiting)
    assert found + drain(spool) == list(range(60))


def test_a_full_spool_keeps_the_first_and_says_how_many_are_lost(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 1000)
    with pytest.raises(SpoolFull) as full:
        spool.append([record(n) for n in range(100)])
    kept = drain(spool)
    assert kept == list(range(100 - full.value.lost))
    assert 5 < len(kept) < 20


class Broker:
    """Takes records while it is up; otherwise they fail when their time is over, as librdkafka's do."""

    def __init__(self) -> None:
        self.up = True
        self.log: list[str] = []
        self._waiting: list[tuple[str, Callable[[Any, Any], None]]] = []

    def send_raw(self, topic: Any, key: bytes, value: Any, headers: Any, on_delivery: Any = None) -> None:
        self._waiting.append((key.decode(), on_delivery))

    def poll(self, timeout_s: float = 0.0) -> int:
        time.sleep(min(timeout_s, 0.001))
        return self.flush(0)

    def flush(self, timeout_s: float) -> int:
        waiting, self._waiting = self._waiting, []
        for key, report in waiting:
            if key == "poison":
                report("refused", None)
            elif self.up:
                self.log.append(key)
                report(None, None)
            else:
                report("down", None)
        return 0

    def failure(self, topic: Any, error: Any) -> KafkaRuntimeError:
        return RecordRefused("predictions", "no") if error == "refused" else BrokerUnavailable("predictions", 1.0)

    def prepare(self) -> None:
        if not self.up:
            raise BrokerUnavailable("predictions", 1.0)


class Counts:
    def __init__(self) -> None:
        self.acknowledged = self.on_disk = 0
        self.lost: dict[str, int] = {}

    def published(self, rows: int) -> None:
        self.acknowledged += rows

    def dropped(self, rows: int, reason: str) -> None:
        self.lost[reason] = self.lost.get(reason, 0) + rows

    def spooled(self, rows: int, bytes_on_disk: int) -> None:
        self.on_disk += rows


@contextmanager
def sending(courier: Courier) -> Iterator[None]:
    """Runs the courier, with a thread in the event loop's place; ends with the courier closed."""
    ended = threading.Event()

    def loop() -> None:
        while not ended.wait(0.001):
            courier.send_some()

    thread = threading.Thread(target=loop)
    courier.start()
    thread.start()
    until(lambda: courier.problem is None)
    try:
        yield
    finally:
        ended.set()
        thread.join()
        courier.close()


def answered(*ids: str) -> Answered:
    answers = [Answer(one, "t", False, "late", None, "1", "champion") for one in ids]
    return Answered("m", "1", "champion", [{}] * len(ids), answers, None, 1.0, 0.1, "00-t")


def until(condition: Callable[[], bool], timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        time.sleep(0.005)


def test_records_pass_in_order_and_through_an_outage_in_order_too(tmp_path: Path) -> None:
    broker, counts = Broker(), Counts()
    courier = Courier(broker, broker.prepare, Spool(tmp_path, 1_000_000), counts)
    names = [f"{n:04d}" for n in range(300)]
    with sending(courier):
        for name in names[:100]:
            courier.offer(answered(name))
        until(lambda: len(broker.log) == 100)
        broker.up = False
        for name in names[100:200]:
            courier.offer(answered(name))
        until(lambda: counts.on_disk >= 100)
        assert courier.problem is not None
        broker.up = True
        for name in names[200:]:
            courier.offer(answered(name))
        until(lambda: len(broker.log) == 300)
    assert broker.log == names
    assert counts.acknowledged == 300
    assert counts.lost == {}
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_acknowledged_at_the_end_is_on_disk_for_the_next_start(tmp_path: Path) -> None:
    broker, counts = Broker(), Counts()
    broker.up = False
    courier = Courier(broker, broker.prepare, Spool(tmp_path, 1_000_000), counts)
    courier.start()
    courier.offer(answered("a", "b"))
    courier.offer(answered("c"))
    courier.close()
    broker.up = True
    again = Courier(broker, broker.prepare, Spool(tmp_path, 1_000_000), counts)
    with sending(again):
        again.offer(answered("d"))
        until(lambda: len(broker.log) == 4)
    assert broker.log == ["a", "b", "c", "d"]


def test_what_was_sent_but_fails_at_the_end_is_on_disk_too(tmp_path: Path) -> None:
    broker, counts = Broker(), Counts()
    courier = Courier(broker, broker.prepare, Spool(tmp_path, 1_000_000), counts)
    courier.start()
    until(lambda: courier.problem is None)
    broker.up = False
    courier.offer(answered("a", "b"))
    courier.close()
    assert numbers_of(Spool(tmp_path, 1_000_000)) == [b"a", b"b"]


def test_a_full_queue_drops_and_counts_without_blocking(tmp_path: Path) -> None:
    counts = Counts()
    courier = Courier(Broker(), lambda: None, Spool(tmp_path, 1_000_000), counts, queue_rows=10)
    for _ in range(4):
        courier.offer(answered("a", "b", "c"))
    assert counts.lost == {"queue_full": 3}


def test_a_record_that_kafka_refuses_is_counted_and_holds_nobody_up(tmp_path: Path) -> None:
    broker, counts = Broker(), Counts()
    courier = Courier(broker, broker.prepare, Spool(tmp_path, 1_000_000), counts)
    with sending(courier):
        courier.offer(answered("a", "poison", "b"))
        until(lambda: broker.log == ["a", "b"])
    assert counts.lost == {"refused": 1}
    assert courier.problem is None


def test_a_request_of_many_rows_is_sent_a_slice_at_a_time(tmp_path: Path) -> None:
    broker, counts = Broker(), Counts()
    courier = Courier(broker, broker.prepare, Spool(tmp_path, 1_000_000), counts)
    courier.start()
    until(lambda: courier.problem is None)
    courier.offer(answered(*[str(n) for n in range(250)]))
    courier.send_some()
    assert 0 < len(broker.log) < 250
    courier.close()
    assert broker.log == [str(n) for n in range(250)]


def test_sending_keeps_up_where_requests_bring_more_rows_than_a_slice(tmp_path: Path) -> None:
    broker, counts = Broker(), Counts()
    courier = Courier(broker, broker.prepare, Spool(tmp_path, 1_000_000), counts, queue_rows=20_000)
    courier.start()
    until(lambda: courier.problem is None)
    for turn in range(60):
        for request in range(10):
            courier.offer(answered(*[f"{turn}-{request}-{n}" for n in range(100)]))
        sent = len(broker.log)
        until(lambda sent=sent: courier.send_some() or len(broker.log) > sent)  # the courier's thread may have its turn
    courier.close()
    assert counts.lost == {}
    assert len(broker.log) == 60_000


def test_offers_from_many_threads_are_all_kept(tmp_path: Path) -> None:
    broker, counts = Broker(), Counts()
    courier = Courier(broker, broker.prepare, Spool(tmp_path, 1_000_000), counts)
    threads = [
        threading.Thread(target=lambda n=n: [courier.offer(answered(f"{n}-{i}")) for i in range(200)]) for n in range(4)
    ]
    with sending(courier):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        until(lambda: len(broker.log) == 800)
    assert len(set(broker.log)) == 800


def numbers_of(spool: Spool) -> list[bytes]:
    return [each.key for each in spool.peek(100)]
