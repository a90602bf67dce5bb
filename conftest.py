"""What holds for every test of the repository."""

import os
from collections.abc import Callable, Iterator, Sequence

import pytest
from hypothesis import settings
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from telemetry import tracing

# Read when LightGBM is loaded, by whichever test comes first: its threads shall not spin while they wait.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# The machine may be shared and slow: how long an example takes says nothing about the code.
settings.register_profile("flywheel", deadline=None)
settings.load_profile("flywheel")


# Stories on one whole stack, told one after the other in one process.
_WHOLE_STACK = ("tests/browser/test_console.py", "tests/e2e/test_rollout.py", "tests/e2e/test_tutorial.py")
# The longest first: with them last, one process would still run them when the other has long ended.
_LONGEST_FIRST = (
    _WHOLE_STACK,
    "tests/e2e/",
    "tests/browser/",
    "tests/chaos/",
    "tests/integration/test_trainer",
    "tests/integration/",
)


class _FilesAndStories(LoadFileScheduling):
    """xdist's --dist loadfile, but for the files that share a stack: those go to one process."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return "whole stack" if file in _WHOLE_STACK else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling:
    """Called by xdist."""
    return _FilesAndStories(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the tests that take longest first."""
    items.sort(key=_rank)


def _rank(item: pytest.Item) -> int:
    return next(
        (rank for rank, begin in enumerate(_LONGEST_FIRST) if item.nodeid.startswith(begin)), len(_LONGEST_FIRST)
    )


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Stops the whole stack after the last story: an idle one slows the rest."""
    shared = getattr(item, "funcargs", {}).get("running_stack")
    if shared is not None and (nextitem is None or not nextitem.nodeid.startswith(_WHOLE_STACK)):
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
