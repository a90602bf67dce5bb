"""Whether a registered model comes out the same, byte for byte, when it is trained again."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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
        found: list[str] = []
        if not same:
            found += _data(registered, training_set_hash(rows, spec))
            now, then = _parameters(again.served.text), _parameters(text)
            now["rounds"], then["rounds"] = str(again.served.rounds), str(said["rounds"])
            found += _changed("parameter", now, then)
            found += _changed("library", self._libraries, said["libraries"])
            found.append(_first_difference(text, again.served.text))
        return Reproduction(identical=same, differences=tuple(found), rows=rows.height, rounds=again.served.rounds)

    def _start(self, model: str, version: str | None) -> Start | None:
        """The version that it went on from, as it was registered."""
        if version is None:
            return None
        return Start(version, self._models.load(self._registry.version(model, version))[1])


def _data(registered: ModelVersion, digest: str) -> list[str]:
    if digest == registered.training_set_hash:
        return []
    return [
        f"data: the rows kept for {registered.model} have digest {digest}, registered was another "
        "(rows that their users had erased are no longer in it)"
    ]


def _changed(kind: str, now: Mapping[str, Any], then: Mapping[str, Any]) -> list[str]:
    return [
        f"{kind}: {name} {now[name]} now, {then.get(name, 'unknown')} when it was registered"
        for name in now
        if now[name] != then.get(name, "unknown")
    ]


def _parameters(text: str) -> dict[str, str]:
    """What LightGBM was told, but for the rounds, as it writes it into a model: lines such as `[num_leaves: 31]`."""
    said = text.partition("\nparameters:\n")[2].partition("\nend of parameters")[0]
    pairs = (line.strip("[]").partition(": ") for line in said.splitlines())
    return {name: value for name, _, value in pairs if name != "num_iterations"}


def _first_difference(registered: str, again: str) -> str:
    pairs = zip(registered.splitlines(), again.splitlines(), strict=False)
    for number, (then, now) in enumerate(pairs, start=1):
        if then != now:
            return f"model: line {number} reads {now[:80]!r}, registered was {then[:80]!r}"
    return f"model: {len(again)} characters, registered were {len(registered)}"
