"""The lake as a whole: its tables, specs and objects."""

import threading
from typing import Any

from lake import objects as store
from lake.erasures import Erasures
from lake.schema import Kind
from lake.settings import LakeSettings
from lake.specs import Specs
from lake.table import LakeTable


class Lake:
    """Every table, spec and object under LAKE_URI. Opens no connection until something is asked of it."""

    def __init__(self, settings: LakeSettings) -> None:
        self.settings = settings
        self._lock = threading.Lock()
        self._tables: dict[tuple[str, Kind], LakeTable] = {}
        self._objects: store.Objects | None = None
        self._erasures: Erasures | None = None
        self._files: tuple[Any, str] | None = None

    @property
    def objects(self) -> store.Objects:
        """Objects beside the tables, by key relative to LAKE_URI."""
        with self._lock:
            if self._objects is None:
                self._objects = store.connect(self.settings)
            return self._objects

    @property
    def specs(self) -> Specs:
        """The model specs that the lake holds."""
        return Specs(self.objects)

    @property
    def erasures(self) -> Erasures:
        """What people asked to have erased."""
        with self._lock:
            known = self._erasures
        if known is None:
            known = self._erasures = Erasures(self.objects)
        return known

    def table(self, model: str, kind: Kind) -> LakeTable:
        """One table of the model, which need not exist yet. The same object for the same arguments."""
        with self._lock:
            if (model, kind) not in self._tables:
                self._tables[model, kind] = LakeTable(
                    f"{self.settings.uri}/{model}/{kind}", kind, self.settings.storage_options()
                )
            return self._tables[model, kind]

    def file_system(self) -> tuple[Any, str]:
        """pyarrow's own file system, and the path of LAKE_URI in it."""
        with self._lock:
            if self._files is None:
                self._files = self.settings.file_system()
            return self._files

    def models(self) -> list[str]:
        """Names of the models whose spec the lake holds and can read, sorted."""
        return sorted(self.specs.all())

    def ensure_bucket(self) -> None:
        """Create the bucket (or folder) of LAKE_URI unless it is there."""
        self.objects.ensure_bucket()

    def unreachable(self) -> str | None:
        """None when the store answers, else a sentence with what is wrong. For readiness checks; blocks for seconds."""
        try:
            self.objects.get("_flywheel/readiness")
        except Exception as exc:
            return str(exc)
        return None
