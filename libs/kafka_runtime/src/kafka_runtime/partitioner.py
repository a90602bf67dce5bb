"""Which partition a key belongs to: murmur2, as Java's clients, aiokafka and librdkafka's murmur2_random have it."""

from collections.abc import Sequence

import numpy as np

_SEED = 0x9747B28C
_M = 0x5BD1E995
_MASK = 0xFFFFFFFF


def partition_for(key: bytes, partitions: int) -> int:
    """The partition of `key` in a topic of `partitions` partitions."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions


def partitions_for(keys: Sequence[bytes], partitions: int) -> list[int]:
    """`partition_for` of each key; together, where all have one length that four divides, as UUIDs in text have."""
    length = len(keys[0]) if keys else 0
    if length == 0 or length % 4 or any(len(key) != length for key in keys):
        return [partition_for(key, partitions) for key in keys]
    m = np.uint32(_M)
    words = np.frombuffer(b"".join(keys), "<u4").reshape(len(keys), -1).astype(np.uint32) * m
    words = (words ^ words >> np.uint32(24)) * m
    h = np.full(len(keys), _SEED ^ length, np.uint32)
    for k in words.T:
        h = h * m ^ k
    h = (h ^ h >> np.uint32(13)) * m
    h = (h ^ h >> np.uint32(15)) & np.uint32(0x7FFFFFFF)
    found: list[int] = (h % np.uint32(partitions)).tolist()
    return found


def murmur2(data: bytes) -> int:
    """MurmurHash2, 32 bits, with Kafka's seed (org.apache.kafka.common.utils.Utils.murmur2), unsigned."""
    length = len(data)
    h = _SEED ^ length
    whole = length & ~3
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i : i + 4], "little") * _M & _MASK
        k = (k ^ k >> 24) * _M & _MASK
        h = (h * _M & _MASK) ^ k
    if tail := data[whole:]:
        h = (h ^ int.from_bytes(tail, "little")) * _M & _MASK
    h = (h ^ h >> 13) * _M & _MASK
    return h ^ h >> 15
