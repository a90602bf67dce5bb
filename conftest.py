"""What holds for every test of the repository."""

import os
from collections.abc import Callable, Iterator, Sequence

import pytest
from hypothesis import settings
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from telemetry import tracing

# Read when LightGBM is loaded, by whichever test comes first: its threads shall not spin while they wait.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# The machine may be shared and slow: how long an example takes says nothing about the code.
settings.register_profile("flywheel", deadline=None)
settings.load_profile("flywheel")


# The longest first: with them last, one process would still run them when the others have long ended. Those that keep
# the machine busy stand between those that mostly wait.
_LONGEST_FIRST = (
    "tests/e2e/test_demo",
    "tests/integration/test_processor_exactly_once",
    "tests/integration/test_inference_serving",
    "tests/e2e/test_observability",
    "tests/integration/test_processor_service",
    "tests/chaos/test_short_round",
    "tests/e2e/test_rollout",
    "tests/integration/test_ingest_service",
    "tests/integration/test_trainer_crash",
    "tests/browser/test_console",
    "tests/integration/test_stack.py",
    "tests/integration/test_trainer_service",
    "tests/e2e/",
    "tests/browser/",
    "tests/chaos/",
    "tests/integration/",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the tests that take longest first."""
    items.sort(key=_rank)


def _rank(item: pytest.Item) -> int:
    return next(
        (rank for rank, begin in enumerate(_LONGEST_FIRST) if item.nodeid.startswith(begin)), len(_LONGEST_FIRST)
    )


@pytest.fixture
def spans() -> Iterator[Callable[[], Sequence[ReadableSpan]]]:
    """Records every span of this process; calling it gives those that have ended."""
    exporter = InMemorySpanExporter()
    tracing.record_to("tests", exporter)

    def ended() -> Sequence[ReadableSpan]:
        if tracing._provider is not None:
            tracing._provider.force_flush()
        return exporter.get_finished_spans()

    yield ended
    tracing.shutdown()
