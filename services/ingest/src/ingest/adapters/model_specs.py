"""The models that feedback can be about: specs that ship, and specs that the lake holds, looked at again and again."""

import asyncio
from collections.abc import Mapping

from flywheel_schemas.spec import ModelSpec, SpecError, parse_spec
from ingest.domain.models import KnownModel
from lake.errors import LakeError
from lake.lake import Lake
from telemetry import logging

_LOOK_EVERY_S = 2.0
_ASKED_FOR_TIMEOUT_S = 1.5
log = logging.get(__name__)


class SpecBook:
    """Known models by name. The lake's spec of a model goes before the shipped one.

    With the lake away, what is known stays known.
    """

    def __init__(self, lake: Lake, shipped: Mapping[str, ModelSpec]) -> None:
        self._lake = lake
        self._shipped = {name: KnownModel.of(spec) for name, spec in shipped.items()}
        self._known = dict(self._shipped)
        self._texts: dict[str, bytes] = {}
        self._from_lake: dict[str, KnownModel] = {}
        self._look_running: asyncio.Task[None] | None = None
        self._away = False

    def get(self, name: str) -> KnownModel | None:
        """The model, or None. Asks nobody: answers from what is known."""
        return self._known.get(name)

    def names(self) -> list[str]:
        """All known models, sorted."""
        return sorted(self._known)

    async def look_now(self) -> None:
        """Read the lake's specs anew, in bounded time; many who ask at once share one look."""
        if self._look_running is None or self._look_running.done():
            self._look_running = asyncio.create_task(asyncio.to_thread(self._look))
        await asyncio.wait({self._look_running}, timeout=_ASKED_FOR_TIMEOUT_S)

    async def run(self) -> None:
        """Look every two seconds. Never returns; cancel it."""
        while True:
            await self.look_now()
            await asyncio.sleep(_LOOK_EVERY_S)

    def _look(self) -> None:
        try:
            texts = self._read()
        except (LakeError, OSError) as error:
            if not self._away:
                log.warning("specs_unreachable", reason=str(error), effect="the models known so far stay known")
            self._away = True
            return
        self._away = False
        for folder, text in texts.items():
            if self._texts.get(folder) != text:
                self._learn(folder, text)
        for gone in self._from_lake.keys() - texts.keys():
            del self._from_lake[gone]
        self._texts = texts
        self._known = self._shipped | {model.spec.name: model for model in self._from_lake.values()}

    def _read(self) -> dict[str, bytes]:
        objects = self._lake.objects
        found = {folder: objects.get(f"{folder}/spec.yaml") for folder in objects.folders()}
        return {folder: text for folder, text in found.items() if text is not None}

    def _learn(self, folder: str, text: bytes) -> None:
        try:
            spec = parse_spec(text.decode("utf-8", "replace"), f"{folder}/spec.yaml")
        except SpecError as error:
            log.error("spec_refused", model=folder, reason=str(error), effect="the spec known before stays in force")
            return
        self._from_lake[folder] = KnownModel.of(spec)
        log.info("spec_read", model=spec.name)
