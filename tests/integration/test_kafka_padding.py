"""Moving the end of a partition, on a real broker: also while others write, and after it was broken off."""

import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from flywheel_schemas.topics import Topic, is_padding
from kafka_runtime import padding, tail
from kafka_runtime.publisher import Publisher
from kafka_runtime.reader import AssignedReader
from kafka_runtime.settings import KafkaSettings
from tests.integration.kafka_bench import fresh, publisher, settings

__all__ = ["fresh", "publisher", "settings"]
_UNTIL = 30_000


class Place:
    """A topic of one partition's worth of interest, and who writes to it."""

    def __init__(self, settings: KafkaSettings, publisher: Publisher, topic: Topic) -> None:
        self.settings, self.topic = settings, topic
        self._publisher = publisher
        self.sent: set[bytes] = set()

    def send(self, count: int) -> None:
        for _ in range(count):
            key = uuid.uuid4().hex.encode()
            self._publisher.send_and_wait(self.topic, key, b"said " + key, [("trace", key)], partition=0)
            self.sent.add(key)

    def pad(self, since_ms: int = 0, told: Callable[[int], None] = lambda _: None) -> padding.Padded:
        return padding.pad(self.settings, self.topic, 0, _UNTIL, since_ms=since_ms, told=told)

    def bounds(self) -> tuple[int, int]:
        with AssignedReader(self.settings, self.topic.name) as reader:
            return reader.watermarks(0, 10)

    def behind(self) -> list[bytes]:
        """The keys of what stands at the new offsets; each record is as it was sent."""
        found = []
        for record in tail.records_from(self.settings, self.topic, 0, _UNTIL):
            if not is_padding(record.key, record.value, record.headers):
                assert record.value == b"said " + record.key
                assert record.headers == [("trace", record.key)]
                found.append(record.key)
        return found


@pytest.fixture
def place(settings: KafkaSettings, publisher: Publisher, fresh: Any) -> Place:
    return Place(settings, publisher, fresh())


def test_what_was_written_below_stands_behind_and_the_padding_is_gone(place):
    place.send(5)
    done = place.pad()

    assert (done.padding, done.written_again, done.left) == (_UNTIL - 5, 5, 0)
    assert place.bounds() == (_UNTIL, _UNTIL + 5)
    assert set(place.behind()) == place.sent


def test_nothing_that_others_write_meanwhile_is_lost(place):
    writer = threading.Thread(target=place.send, args=(60,))
    writer.start()
    done = place.pad(told=lambda _: time.sleep(0.1))
    writer.join()

    assert sorted(place.behind()) == sorted(place.sent)
    assert place.bounds()[0] == _UNTIL
    assert done.written_again > 0


def test_broken_off_it_is_run_again_and_loses_nothing(place):
    place.send(5)

    def breaks_off(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        place.pad(told=breaks_off)
    place.send(5)
    place.pad()

    assert set(place.behind()) == place.sent


def test_what_is_too_old_to_be_told_from_what_was_read_stays_where_it_is(place):
    place.send(3)
    done = place.pad(since_ms=int(time.time() * 1000) + 60_000)

    assert (done.written_again, done.left) == (0, 3)
    assert place.bounds() == (0, _UNTIL)
    assert place.behind() == []
