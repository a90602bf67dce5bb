"""Model specs from the lake and from the folder that ships with the deployment."""

import threading
from collections.abc import Mapping
from pathlib import Path

from typing_extensions import override

from flywheel_schemas.spec import ModelSpec, SpecError
from lake import Lake
from stream_processor.application.ports import Specs
from telemetry import logging

_LOG = logging.get(__name__)


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
        try:
            specs = self._lake.specs.with_shipped(self._folder)
        except SpecError as exc:
            if self._specs is None:
                raise
            # At start a wrong file is refused; later it must not stop the models that work.
            _LOG.error("spec_refused", detail=str(exc))
            return self._specs
        with self._lock:
            self._specs = specs
        return specs
