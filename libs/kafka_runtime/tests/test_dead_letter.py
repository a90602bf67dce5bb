from kafka_runtime import dead_letter
from kafka_runtime.record import Record

_RECORD = Record("feedback-events", 3, 41, b"k", b"\xff", [("ce_id", b"e"), ("dlq_reason", b"an older one")])


def test_a_dead_letter_keeps_its_headers_and_says_where_and_why_it_died() -> None:
    assert dead_letter.headers(_RECORD, "invalid UTF-8", "UnicodeDecodeError('…')") == [
        ("ce_id", b"e"),
        ("dlq_reason", b"invalid UTF-8"),
        ("dlq_topic", b"feedback-events"),
        ("dlq_partition", b"3"),
        ("dlq_offset", b"41"),
        ("dlq_exception", "UnicodeDecodeError('…')".encode()),
    ]


def test_the_place_of_death_is_read_back() -> None:
    assert dead_letter.source_offset(dead_letter.headers(_RECORD, "r", "e")) == ("feedback-events", 3, 41)


def test_headers_that_do_not_say_where_read_as_nowhere() -> None:
    assert dead_letter.source_offset([]) is None
    broken = [("dlq_topic", b"t"), ("dlq_partition", b"x"), ("dlq_offset", b"1")]
    assert dead_letter.source_offset(broken) is None
