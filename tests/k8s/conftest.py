"""The rendered manifests, once for all tests."""

from pathlib import Path

import pytest

from tests.k8s import rendering, tools


@pytest.fixture(scope="session")
def rendered() -> dict[str, list[rendering.Manifest]]:
    """Every overlay and alternative."""
    try:
        return rendering.everything()
    except tools.ToolMissing as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def crds() -> list[Path]:
    """Every CRD that can be had; Strimzi's only where `make k8s` has made them, since that takes a minute."""
    try:
        return [*tools.go_crds(), *tools.strimzi_crds(make=False)]
    except tools.ToolMissing as error:
        pytest.skip(str(error))
