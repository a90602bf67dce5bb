"""Whether a registered model comes out the same, byte for byte, when it is trained again."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flywheel_schemas.spec import ModelSpec
from registry import ModelVersion
from trainer.application import fitting
from trainer.application.fitting import Start
from trainer.application.ports import Datasets, Learner, Models, Registry
from trainer.domain.fingerprint import training_set_hash
from trainer.domain.training_set import TrainingSet


@dataclass(frozen=True, slots=True)
class Reproduction:
    """`differences` is empty exactly when the retrained model's text is the registered one's."""

    identical: bool
    differences: tuple[str, ...]
    rows: int
    rounds: int


class Reproduce:
    """Retrains a version from its pinned training set."""

    def __init__(
        self, datasets: Datasets, learner: Learner, registry: Registry, models: Models, libraries: Mapping[str, str]
    ) -> None:
        self._datasets = datasets
        self._learner = learner
        self._registry = registry
        self._models = models
        self._libraries = libraries

    def __call__(self, model: str, version: str) -> Reproduction:
        """Train anew and compare. Raises UnknownVersion."""
        registered = self._registry.version(model, version)
        spec, text = self._models.load(registered)
        said = self._models.training_record(registered)
        rows = self._datasets.kept(model, registered.training_set_hash)
        if rows is None:
            gone = f"data: the training set {registered.training_set_hash} is no longer kept"
            return Reproduction(identical=False, differences=(gone,), rows=0, rounds=0)
        start = self._start(model, said.get("continues"))
        again = fitting.fit(self._learner, spec, TrainingSet(rows, {}), dict(said["parameters"]), start=start)
        same = again.served.text == text
        found = () if same else self._differences(spec, registered, said, rows_hash=training_set_hash(rows, spec))
        if not same and again.served.rounds != said["rounds"]:
            found = (*found, f"rounds: {again.served.rounds} now, {said['rounds']} when it was registered")
        if not same:
            found = (*found, _first_difference(text, again.served.text))
        return Reproduction(identical=same, differences=found, rows=rows.height, rounds=again.served.rounds)

    def _start(self, model: str, version: str | None) -> Start | None:
        """The version that it went on from, as it was registered."""
        if version is None:
            return None
        return Start(version, self._models.load(self._registry.version(model, version))[1])

    def _differences(
        self, spec: ModelSpec, registered: ModelVersion, said: Mapping[str, Any], rows_hash: str
    ) -> tuple[str, ...]:
        found = []
        if rows_hash != registered.training_set_hash:
            found.append(
                f"data: the rows kept for {spec.name} have digest {rows_hash}, registered was another "
                "(rows that their users had erased are no longer in it)"
            )
        for library, now in self._libraries.items():
            then = said["libraries"].get(library, "unknown")
            if then != now:
                found.append(f"library: {library} {now} now, {then} when it was registered")
        return tuple(found)


def _first_difference(registered: str, again: str) -> str:
    pairs = zip(registered.splitlines(), again.splitlines(), strict=False)
    for number, (then, now) in enumerate(pairs, start=1):
        if then != now:
            return f"model: line {number} reads {now[:80]!r}, registered was {then[:80]!r}"
    return f"model: {len(again)} characters, registered were {len(registered)}"
