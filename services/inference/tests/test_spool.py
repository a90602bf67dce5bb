from pathlib import Path

import pytest

from inference.adapters.spool import Record, Spool, SpoolFull


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
