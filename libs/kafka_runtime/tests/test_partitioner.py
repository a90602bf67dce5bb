import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_runtime.partitioner import murmur2, partition_for, partitions_for


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # The vectors of Kafka's own UtilsTest, signed as Java has them.
        ("21", -973932308),
        ("foobar", -790332482),
        ("a-little-bit-long-string", -985981536),
        ("a-little-bit-longer-string", -1486304829),
        ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        ("abc", 479470107),
    ],
)
def test_the_hash_is_that_of_kafkas_java_client(text: str, expected: int) -> None:
    assert murmur2(text.encode()) == expected % 2**32


@given(key=st.binary(max_size=64), partitions=st.integers(1, 100))
def test_every_key_has_a_partition_within_the_topic(key: bytes, partitions: int) -> None:
    assert 0 <= partition_for(key, partitions) < partitions


@given(
    keys=st.integers(0, 48).flatmap(lambda n: st.lists(st.binary(min_size=n, max_size=n))),
    partitions=st.integers(1, 100),
)
def test_many_keys_of_one_length_have_the_partitions_that_each_has_alone(keys: list[bytes], partitions: int) -> None:
    assert partitions_for(keys, partitions) == [partition_for(key, partitions) for key in keys]


@given(keys=st.lists(st.binary(max_size=64)), partitions=st.integers(1, 100))
def test_and_so_have_keys_of_any_lengths(keys: list[bytes], partitions: int) -> None:
    assert partitions_for(keys, partitions) == [partition_for(key, partitions) for key in keys]
