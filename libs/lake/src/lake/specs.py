"""Model specs beside their data: `{LAKE_URI}/{model}/spec.yaml`."""

import logging
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

from flywheel_schemas.spec import ModelSpec, SpecError, dump_spec, load_specs, parse_spec
from lake.objects import Objects

_LOG = logging.getLogger("lake.specs")


class Specs:
    """The specs that the lake holds. A spec put here is what every service follows, without a restart."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def get(self, model: str) -> ModelSpec | None:
        """The spec of `model`, or None. Raises SpecError for one that cannot be used."""
        raw = self._objects.get(_key(model))
        return None if raw is None else _parsed(raw, self._objects.uri(_key(model)))

    def put(self, spec: ModelSpec) -> None:
        """Store the spec, in place of an earlier one of that name."""
        self._objects.put(_key(spec.name), dump_spec(spec).encode())

    def all(self) -> dict[str, ModelSpec]:
        """Every usable spec by model name. One that cannot be used is logged and left out: the other models go on."""
        folders = self._objects.folders()
        if not folders:
            return {}
        with ThreadPoolExecutor(max_workers=min(8, len(folders))) as pool:
            found = list(pool.map(self._usable, folders))
        return {spec.name: spec for spec in found if spec is not None}

    def with_shipped(self, folder: Path | None) -> dict[str, ModelSpec]:
        """`all`, and for models that the lake does not know those of `folder` (MODEL_SPECS_DIR).

        Raises SpecError for a wrong file in `folder`.
        """
        return (load_specs(folder) if folder else {}) | self.all()

    def _usable(self, model: str) -> ModelSpec | None:
        try:
            return self.get(model)
        except SpecError as exc:
            _LOG.error("spec_refused", extra={"model": model, "detail": str(exc)})
            return None


@lru_cache(maxsize=256)
def _parsed(raw: bytes, where: str) -> ModelSpec:
    """Specs are asked for many times a minute, hardly ever change, and take milliseconds to read."""
    return parse_spec(raw.decode("utf-8", "replace"), where)


def _key(model: str) -> str:
    return f"{model}/spec.yaml"
