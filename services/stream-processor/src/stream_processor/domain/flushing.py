"""When what has been read is due to be written."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FlushPolicy:
    """Rows, bytes and time together: large files when busy, no waiting when quiet.

    While one flush is being written the next one gathers, so a busy stream fills up to `rows` by itself.
    """

    rows: int = 50_000
    bytes: int = 64 * 1024 * 1024
    age_s: float = 0.75

    def due(self, rows: int, size: int, oldest_age_s: float) -> bool:
        """Whether a flush of so much, whose oldest record came in so long ago, should begin."""
        return rows >= self.rows or size >= self.bytes or (rows > 0 and oldest_age_s >= self.age_s)

    def full(self, rows: int, size: int) -> bool:
        """Whether so much is waiting that reading should pause."""
        return rows >= 3 * self.rows or size >= 3 * self.bytes
