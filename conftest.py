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


# The longest first: with them last, one process would still run them when the other has long ended.
_LONGEST_FIRST = (
    "tests/e2e/",
    "tests/browser/",
    "tests/chaos/",
    "tests/integration/test_trainer",
    "tests/integration/",
)
_WHOLE_STACK = "running_stack"


@pytest.hookimpl(tryfirst=True)  # xdist looks at the groups right afterwards
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Gives each process whole files, or all tests that share the whole stack; those first, then what takes longest."""
    items.sort(key=_rank)
    for item in items:
        item.add_marker(
            pytest.mark.xdist_group(_WHOLE_STACK if _shares_stack(item) else item.nodeid.partition("::")[0])
        )


def _rank(item: pytest.Item) -> int:
    if _shares_stack(item):
        return -1
    return next(
        (rank for rank, begin in enumerate(_LONGEST_FIRST) if item.nodeid.startswith(begin)), len(_LONGEST_FIRST)
    )


def _shares_stack(item: pytest.Item | None) -> bool:
    return isinstance(item, pytest.Function) and _WHOLE_STACK in item.fixturenames


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Stops the whole stack after the last test that shares it: an idle one slows the rest."""
    shared = getattr(item, "funcargs", {}).get(_WHOLE_STACK)
    if shared is not None and not _shares_stack(nextitem):
        shared.stack.stop()


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
