"""Learning, from the lake and the topics alone, what earlier lives of a partition did."""

from collections.abc import Mapping, Sequence

from flywheel_schemas.events import DatasetCommitted
from stream_processor.application.flush import announcement
from stream_processor.application.partition import Partition
from stream_processor.application.ports import DeadLetters, Specs, Tables
from stream_processor.domain.seen import SeenIds, keys_of


class TopicRecreated(Exception):
    """The lake knows offsets that the topic does not have: it was deleted, or lost its end."""

    def __init__(self, topic: str, partition: int, watermark: int, end: int) -> None:
        super().__init__(
            f"the lake holds offset {watermark} of {topic}/{partition}, but the topic ends at {end}: it was recreated "
            "or lost records. New records would be taken for old ones. `flywheel topics resume` lets it go on"
        )


class Recovery:
    """Builds what a process must know of partitions of one topic before it may decide about their records."""

    def __init__(
        self, topic: str, tables: Tables, dead_letters: DeadLetters, specs: Specs, secret: tuple[int, int]
    ) -> None:
        self._topic = topic
        self._tables = tables
        self._dead_letters = dead_letters
        self._specs = specs
        self._secret = secret
        self._ends: dict[int, int] = {}

    def recover(self, positions: Mapping[int, int], ends: Mapping[int, int], now_s: float) -> dict[int, Partition]:
        """Partitions by number. `positions` are the first offsets not acknowledged, `ends` the topic's own."""
        specs = self._specs.current()
        window_s = self._window_s()
        dead = self._dead_letters.published(self._topic, positions)
        self._ends.update(ends)
        partitions = {
            number: Partition(number, position, SeenIds(window_s, now_s), dead=dead.get(number, set()))
            for number, position in positions.items()
        }
        for model in specs:
            self.learn(model, list(partitions.values()), now_s)
        return partitions

    def _window_s(self) -> float:
        windows = [spec.feedback.dedup_window.total_seconds() for spec in self._specs.current().values()]
        return max(windows, default=7 * 86_400.0)

    def learn(self, model: str, partitions: Sequence[Partition], now_s: float) -> None:
        """Fill in what the lake knows of `model` in these partitions. Raises TopicRecreated."""
        by_number = {partition.number: partition for partition in partitions}
        if not by_number:
            return
        watermarks = self._tables.watermarks(model, by_number)
        for number, watermark in watermarks.items():
            if watermark >= self._ends.get(number, watermark + 1):
                raise TopicRecreated(self._topic, number, watermark, self._ends[number])
        for number, ids in self._tables.stored_ids(model, by_number, int((now_s - self._window_s()) * 1e6)):
            by_number[number].seen.load(keys_of(ids, self._secret))
        aside = self._tables.quarantined(model, {number: one.position for number, one in by_number.items()})
        for number, partition in by_number.items():
            partition.aside |= aside.get(number, set())
            partition.watermarks[model] = watermarks[number]

    def unannounced(self, partitions: Sequence[Partition]) -> list[DatasetCommitted]:
        """The newest commit of each model and partition that was not acknowledged after it was made."""
        found = []
        for partition in partitions:
            for model, watermark in sorted(partition.watermarks.items()):
                if watermark < partition.position:
                    continue
                if last := self._tables.last_share(model, partition.number):
                    found.append(announcement(model, self._topic, last[0], partition.number, last[1]))
        return found
