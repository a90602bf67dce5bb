"""Model specs from the lake and from the folder that ships with the deployment."""

import threading
from collections.abc import Mapping
from pathlib import Path

from flywheel_schemas.spec import ModelSpec
from lake import Lake
from typing_extensions import override

from stream_processor.application.ports import Specs


class LakeSpecs(Specs):
    """Specs of the lake, and of `folder` for models that the lake does not know."""

    def __init__(self, lake: Lake, folder: Path | None) -> None:
        self._lake = lake
        self._folder = folder
        self._lock = threading.Lock()
        self._specs: Mapping[str, ModelSpec] | None = None

    @override
    def current(self) -> Mapping[str, ModelSpec]:
        with self._lock:
            if self._specs is None:
                self._specs = self._lake.specs.with_shipped(self._folder)
            return self._specs

    @override
    def reload(self) -> Mapping[str, ModelSpec]:
        specs = self._lake.specs.with_shipped(self._folder)
        with self._lock:
            self._specs = specs
        return specs
