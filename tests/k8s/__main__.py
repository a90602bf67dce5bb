"""`python -m tests.k8s` renders and validates everything and writes the table of docs/operations.md."""

import sys

import pytest

from tests.k8s import rendering, table, tools


def main() -> int:
    """Ends with pytest's code; 1 where a tool cannot be had."""
    try:
        manifests = rendering.everything()
        crds = [*tools.go_crds(), *tools.strimzi_crds(make=True)]
    except tools.ToolError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 1
    page = tools.REPOSITORY / "docs" / "operations.md"
    page.write_text(table.within(page.read_text(), manifests["production"]))
    for name, found in manifests.items():
        print(f"{name:12} {len(found)} objects")  # noqa: T201
    print(f"{len(crds)} files of CRDs")  # noqa: T201
    return int(pytest.main(["-q", "-p", "no:cacheprovider", str(tools.REPOSITORY / "tests" / "k8s")]))


if __name__ == "__main__":
    sys.exit(main())
