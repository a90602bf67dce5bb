import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from inference.adapters.courier import Courier
from inference.adapters.handover import Told
from inference.adapters.prediction_events import packed
from inference.adapters.spool import Spool
from inference.application.answer import Answer
from inference.application.ports import Answered
from kafka_runtime.errors import BrokerUnavailable, RecordRefused


class Broker:
    """Takes records while it is up; otherwise they fail. `poison` is always refused; `let` holds all up."""

    def __init__(self) -> None:
        self.up = True
        self.log: list[str] = []
        self.largest = 0
        self.let = asyncio.Event()
        self.let.set()

    async def publish_all(self, records: Any) -> dict[int, Exception]:
        self.largest = max(self.largest, len(records))
        await self.let.wait()
        failed: dict[int, Exception] = {}
        for place, record in enumerate(records):
            key = record.key.decode()
            if key == "poison":
                failed[place] = RecordRefused("predictions", "too large")
            elif self.up:
                self.log.append(key)
            else:
                failed[place] = BrokerUnavailable("predictions", 1.0)
        return failed

    def prepare(self) -> None:
        if not self.up:
            raise BrokerUnavailable("predictions", 1.0)


class Bench:
    """A courier, what it was given, and what it told."""

    def __init__(self, folder: Path, broker: Broker, limit_bytes: int = 1_000_000) -> None:
        self.broker = broker
        self.settled: list[int] = []
        self.published = self.spooled = 0
        self.dropped: dict[str, int] = {}
        self.courier = Courier(broker, broker.prepare, Spool(folder, limit_bytes), self._hear)
        self._numbers = 0

    def give(self, *ids: str) -> None:
        self._numbers += 1
        answers = [Answer(one, "t", False, "late", None, "1", "champion") for one in ids]
        answered = Answered("m", "1", "champion", [{}] * len(ids), answers, None, 1.0, 0.1, "00-t")
        self.courier.take(packed(self._numbers, [answered]))

    @asynccontextmanager
    async def working(self):
        """Ends with the courier told to end, and ended."""
        task = asyncio.create_task(self.courier.run())
        yield
        self.courier.end()
        async with asyncio.timeout(60):
            await task

    def _hear(self, told: Told) -> None:
        self.settled += told.settled
        self.published += told.published
        self.spooled += told.spooled
        for reason, count in told.dropped.items():
            self.dropped[reason] = self.dropped.get(reason, 0) + count


@pytest.fixture
async def broker() -> Broker:
    return Broker()


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inference.adapters.courier._RETRY_S", 0.02)
    monkeypatch.setattr("inference.adapters.courier._GATHER_S", 0.001)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - conditions of several kinds, none of which could set an event
            await asyncio.sleep(0.002)


def left_behind(folder: Path) -> list[str]:
    return [record.key.decode() for record in Spool(folder, 1_000_000).peek(100)]


async def test_records_pass_in_order_and_through_an_outage_in_order_too(tmp_path, broker):
    bench, names = Bench(tmp_path, broker), [f"{n:04d}" for n in range(300)]
    async with bench.working():
        for name in names[:100]:
            bench.give(name)
        await until(lambda: len(broker.log) == 100)
        broker.up = False
        for name in names[100:200]:
            bench.give(name)
        await until(lambda: bench.spooled == 100)
        assert "Kafka is unavailable" in bench.courier.problem
        broker.up = True
        for name in names[200:]:
            bench.give(name)
        await until(lambda: len(broker.log) == 300)
    assert broker.log == names
    assert bench.published == 300
    assert sorted(bench.settled) == list(range(1, 301))
    assert list(tmp_path.iterdir()) == []


async def test_what_is_with_kafka_when_it_goes_away_comes_before_what_came_later(tmp_path, broker):
    bench = Bench(tmp_path, broker)
    async with bench.working():
        await until(lambda: bench.courier.problem is None)
        broker.let.clear()
        for name in "ab":
            bench.give(name)
            await until(lambda: not bench.courier._parcels)
        bench.give("c")
        broker.up = False
        broker.let.set()
        await until(lambda: bench.spooled == 3)
        broker.up = True
        await until(lambda: len(broker.log) == 3)
    assert broker.log == ["a", "b", "c"]


async def test_what_cannot_be_sent_at_the_end_is_on_disk_for_the_next_start(tmp_path, broker):
    broker.up = False
    bench = Bench(tmp_path, broker)
    async with bench.working():
        bench.give("a", "b")
        bench.give("c")
    assert sorted(bench.settled) == [1, 2]
    broker.up = True
    again = Bench(tmp_path, broker)
    async with again.working():
        again.give("d")
        await until(lambda: len(broker.log) == 4)
    assert broker.log == ["a", "b", "c", "d"]


async def test_what_was_sent_but_fails_at_the_end_is_on_disk_too(tmp_path, broker):
    bench = Bench(tmp_path, broker)
    async with bench.working():
        await until(lambda: bench.courier.problem is None)
        broker.let.clear()
        bench.give("a", "b")
        await until(lambda: bool(broker.largest))
        broker.up = False
        broker.let.set()
    assert left_behind(tmp_path) == ["a", "b"]
    assert bench.settled == [1]


async def test_it_is_not_settled_before_kafka_has_it(tmp_path, broker):
    bench = Bench(tmp_path, broker)
    async with bench.working():
        broker.let.clear()
        bench.give("a")
        await until(lambda: bool(broker.largest))
        assert bench.settled == []
        broker.let.set()
        await until(lambda: bench.settled == [1])


async def test_a_record_that_kafka_refuses_is_counted_and_holds_nobody_up(tmp_path, broker):
    bench = Bench(tmp_path, broker)
    async with bench.working():
        bench.give("a", "poison", "b")
        await until(lambda: bench.settled == [1])
    assert broker.log == ["a", "b"]
    assert bench.dropped == {"refused": 1}
    assert bench.courier.problem is None


async def test_a_refused_record_in_the_spool_is_counted_and_holds_nobody_up(tmp_path, broker):
    broker.up = False
    bench = Bench(tmp_path, broker)
    async with bench.working():
        bench.give("a", "poison", "b")
        await until(lambda: bench.spooled == 3)
        broker.up = True
        await until(lambda: broker.log == ["a", "b"])
    assert bench.dropped == {"refused": 1}
    assert list(tmp_path.iterdir()) == []


async def test_of_what_finds_the_spool_full_the_rest_is_counted(tmp_path, broker):
    broker.up = False
    bench = Bench(tmp_path, broker, limit_bytes=2000)
    async with bench.working():
        bench.give(*[f"{n:04d}" for n in range(100)])
        await until(lambda: bench.settled == [1])
    assert bench.spooled + bench.dropped["spool_full"] == 100
    assert left_behind(tmp_path) == [f"{n:04d}" for n in range(bench.spooled)]
    assert 0 < bench.spooled < 20


async def test_what_comes_while_kafka_is_slow_is_gathered(tmp_path, broker):
    bench = Bench(tmp_path, broker)
    async with bench.working():
        await until(lambda: bench.courier.problem is None)
        broker.let.clear()
        for number in range(1000):
            bench.give(str(number))
            if number % 100 == 0:
                await asyncio.sleep(0.002)
        broker.let.set()
        await until(lambda: len(broker.log) == 1000)
    assert broker.largest > 300


async def test_a_fault_of_its_own_ends_it_and_is_not_passed_over(tmp_path, broker):
    async def broken(_: Any) -> None:
        raise ZeroDivisionError

    broker.publish_all = broken
    bench = Bench(tmp_path, broker)
    bench.give("a")
    with pytest.raises(ExceptionGroup) as failed:
        await asyncio.wait_for(bench.courier.run(), 10)
    assert failed.group_contains(ZeroDivisionError)
    assert bench.settled == []
