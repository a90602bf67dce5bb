"""How far the lake has come in Kafka's topics."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from lake.append import transaction_id, watermarks
from lake.lake import Lake
from lake.schema import Kind

_KINDS: tuple[Kind, ...] = ("feedback", "predictions", "quarantine")
_AT_ONCE = 8


def newest(lake: Lake, topic: str, partitions: Iterable[int]) -> dict[int, int]:
    """Per partition, the last offset that a table of any model holds; -1 where none does. Raises LakeError."""
    ids = {transaction_id(topic, partition): partition for partition in partitions}
    tables = [lake.table(model, kind) for model in lake.models() for kind in _KINDS]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = pool.map(lambda table: watermarks(table.snapshot(fresh=True), ids) if table.exists() else {}, tables)
        result = dict.fromkeys(ids.values(), -1)
        for each in found:
            for name, offset in each.items():
                result[ids[name]] = max(result[ids[name]], offset)
    return result
