"""Which models there are: specs that ship with the deployment, and specs in the lake."""

from pathlib import Path

from flywheel_schemas.spec import SpecError
from inference.application.ports import SourceUnavailable
from lake import Lake, LakeError


class KnownSpecs:
    """Reads specs from MODEL_SPECS_DIR and from the lake."""

    def __init__(self, lake: Lake, folder: Path | None) -> None:
        self._lake = lake
        self._folder = folder

    def known(self) -> dict[str, str]:
        """The task of every model that a spec describes."""
        try:
            return {name: spec.task for name, spec in self._lake.specs.with_shipped(self._folder).items()}
        except (LakeError, SpecError) as exc:
            raise SourceUnavailable(str(exc)) from exc
