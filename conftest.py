"""What holds for every test of the repository."""

import pytest
from hypothesis import settings

# The machine may be shared and slow: how long an example takes says nothing about the code.
settings.register_profile("flywheel", deadline=None)
settings.load_profile("flywheel")


# With the longest last, one process would still run them when the others have long ended.
_LONGEST_FIRST = (
    "tests/e2e/",
    "tests/browser/",
    "tests/chaos/",
    "tests/integration/test_trainer",
    "tests/integration/",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the tests that take longest first."""
    items.sort(key=_rank)


def _rank(item: pytest.Item) -> int:
    return next(
        (rank for rank, begin in enumerate(_LONGEST_FIRST) if item.nodeid.startswith(begin)), len(_LONGEST_FIRST)
    )
