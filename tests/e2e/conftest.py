"""A whole stack of its own: servers and every service, as `make up` starts them."""

import os
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from flywheel_local.stack import Stack
from tests.browsing import browser, check_accessibility, context, page

__all__ = ["RunningStack", "browser", "check_accessibility", "context", "page", "running_stack"]


@dataclass(frozen=True)
class RunningStack:
    """`command_env` is what a person's shell holds who works with this stack."""

    stack: Stack

    @property
    def command_env(self) -> dict[str, str]:
        return {**os.environ, "FLYWHEEL_HOME": str(self.stack.home)}


@pytest.fixture(scope="session")
def running_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    stack = Stack(tmp_path_factory.mktemp("whole"))
    stack.stop_with_parent()
    try:
        stack.start()
        yield RunningStack(stack)
    finally:
        stack.stop()
