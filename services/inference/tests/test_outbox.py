"""What the outbox does with couriers that are real processes, and with those that die, stop or never end."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psutil

from inference.adapters.outbox import Outbox
from inference.application.answer import Answer
from inference.application.ports import Answered

_BEGIN = """
import os, signal, socket, sys, time
from inference.adapters import handover
from inference.adapters.prediction_events import unpacked

service, folder = socket.socket(fileno=0), sys.argv[1]

def write(name, records):
    with open(os.path.join(folder, name), "ab") as file:
        file.write(b"".join(record.key + b"\\n" for record in records))

def told(**fields):
    os.write(1, handover.told(handover.Told(**fields)))

write("started", [])
"""
SETTLES = """
while (parcels := handover.handed_over(service)) is not None:
    for parcel in parcels:
        number, records = unpacked(parcel)
        write("taken", records)
        told(settled=[number], published=len(records))
"""
DIES_ONCE = f"""
if not os.path.exists(os.path.join(folder, "first")):
    for parcel in handover.handed_over(service):
        write("first", unpacked(parcel)[1])
    os.kill(os.getpid(), signal.SIGKILL)
{SETTLES}
"""
NEVER_ENDS = """
time.sleep(600)
"""


class Counts:
    def __init__(self) -> None:
        self.acknowledged = 0
        self.lost: dict[str, int] = {}

    def published(self, rows: int) -> None:
        self.acknowledged += rows

    def dropped(self, rows: int, reason: str) -> None:
        self.lost[reason] = self.lost.get(reason, 0) + rows

    def spooled(self, rows: int, bytes_on_disk: int) -> None:
        pass


class Bench:
    def __init__(self, folder: Path, script: str, queue_rows: int = 100_000) -> None:
        self.folder = folder
        self.counts = Counts()
        command = [sys.executable, "-c", _BEGIN + script, str(folder)]
        self.outbox = Outbox(command, self.counts, queue_rows=queue_rows)

    def names(self, file: str) -> list[str]:
        path = self.folder / file
        return path.read_text().split() if path.exists() else []

    def couriers(self) -> list[psutil.Process]:
        return [each for each in psutil.Process().children() if str(self.folder) in each.cmdline()]

    def offer(self, *ids: str) -> None:
        answers = [Answer(one, "t", False, "late", None, "1", "champion") for one in ids]
        self.outbox.offer(Answered("m", "1", "champion", [{}] * len(ids), answers, None, 1.0, 0.1, "00-t"))

    async def until(self, condition: Callable[[], bool]) -> None:
        """As the event loop of the service does: sends until the condition is true."""
        async with asyncio.timeout(60):
            while not condition():
                self.outbox.send_some()
                await asyncio.sleep(0.005)

    @asynccontextmanager
    async def running(self, timeout_s: float = 30.0) -> AsyncIterator[None]:
        running = asyncio.create_task(self.outbox.run())
        yield
        await self.outbox.close(running, timeout_s)


async def test_what_is_offered_reaches_the_courier_in_order_and_the_end_waits_for_it(tmp_path):
    bench, names = Bench(tmp_path, SETTLES), [f"{n:04d}" for n in range(1000)]
    async with bench.running():
        for name in names:
            bench.offer(name)
    assert bench.names("taken") == names
    assert bench.counts.acknowledged == 1000
    assert bench.counts.lost == {}
    assert bench.couriers() == []


async def test_a_request_of_many_rows_goes_in_parcels(tmp_path):
    bench, names = Bench(tmp_path, SETTLES), [f"{n:05d}" for n in range(12_345)]
    async with bench.running():
        bench.offer(*names)
        bench.offer("last")
        await bench.until(lambda: bench.counts.acknowledged == 12_346)
    assert bench.names("taken") == [*names, "last"]


async def test_a_courier_that_dies_is_replaced_and_nothing_it_had_is_lost(tmp_path):
    bench, names = Bench(tmp_path, DIES_ONCE), [f"{n:04d}" for n in range(700)]
    async with bench.running():
        for name in names[:500]:
            bench.offer(name)
        await bench.until(lambda: bool(bench.names("first")))
        for name in names[500:]:
            bench.offer(name)
        await bench.until(lambda: bench.counts.acknowledged == 700)
    assert bench.names("taken") == names
    assert bench.counts.lost == {}


async def test_a_courier_that_stands_still_holds_nobody_up_and_goes_on_afterwards(tmp_path):
    bench = Bench(tmp_path, SETTLES)
    async with bench.running():
        await bench.until((tmp_path / "started").exists)
        [courier] = bench.couriers()
        os.kill(courier.pid, signal.SIGSTOP)
        loop, slowest = asyncio.get_running_loop(), 0.0
        for number in range(2000):  # more handovers than a socket holds
            bench.offer(*[f"{number}-{row}" for row in range(20)])
            begun = loop.time()
            bench.outbox.send_some()
            slowest = max(slowest, loop.time() - begun)
        assert bench.counts.acknowledged == 0
        assert slowest < 5
        os.kill(courier.pid, signal.SIGCONT)
        await bench.until(lambda: bench.counts.acknowledged == 40_000)
    assert bench.counts.lost == {}
    assert len(set(bench.names("taken"))) == 40_000


async def test_beyond_the_queue_answers_are_dropped_and_counted_until_others_are_settled(tmp_path):
    bench = Bench(tmp_path, SETTLES, queue_rows=10)
    for _ in range(4):
        bench.offer("a", "b", "c")
    assert bench.counts.lost == {"queue_full": 3}
    async with bench.running():
        await bench.until(lambda: bench.counts.acknowledged == 9)
        bench.offer(*"defghijklm")
        await bench.until(lambda: bench.counts.acknowledged == 19)
    assert bench.counts.lost == {"queue_full": 3}


async def test_a_courier_that_never_ends_is_ended_and_what_it_had_is_counted(tmp_path):
    bench = Bench(tmp_path, NEVER_ENDS)
    async with bench.running(timeout_s=1.0):
        bench.offer("a", "b")
        await bench.until((tmp_path / "started").exists)
    assert bench.counts.lost == {"not_handed_over": 2}
    assert bench.couriers() == []


async def test_offers_from_many_threads_are_all_kept(tmp_path):
    bench = Bench(tmp_path, SETTLES)
    threads = [threading.Thread(target=lambda n=n: [bench.offer(f"{n}-{i}") for i in range(200)]) for n in range(4)]
    async with bench.running():
        for thread in threads:
            thread.start()
        await bench.until(lambda: bench.counts.acknowledged == 800)
    assert len(set(bench.names("taken"))) == 800


async def test_without_files_in_memory_others_serve(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "memfd_create", raising=False)
    bench = Bench(tmp_path, SETTLES)
    async with bench.running():
        bench.offer(*[str(n) for n in range(500)])
    assert len(bench.names("taken")) == 500
