"""Versions that are ready to answer, and who of them does."""

from dataclasses import dataclass, replace
from datetime import datetime

import msgspec

from features import Answers, FeatureSchema
from flywheel_schemas.events import Variant
from flywheel_schemas.spec import ModelSpec
from flywheel_schemas.tokens import TokenKeys, TokenSigner
from inference.application.ports import Booster, ModelRefused
from inference.application.watch import Watch
from inference.domain.claims import Artifact


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class ServedModel:
    """Never changed once made; its booster is freed when the last request that holds it has ended."""

    artifact: Artifact
    since: datetime
    spec: ModelSpec
    schema: FeatureSchema
    answers: Answers
    booster: Booster
    signer: TokenSigner
    variant: str = Variant.CHAMPION.value

    @property
    def name(self) -> str:
        """The model's name."""
        return self.artifact.model

    @property
    def version(self) -> str:
        """The version, as text."""
        return self.artifact.version


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """A challenger beside the champion: at 0 percent it answers aside (shadow), else for that share of the traffic."""

    challenger: ServedModel
    percent: float
    watch: Watch


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class Lineup:
    """Who answers for one model. Replaced as a whole, so that no request sees half of a change."""

    champion: ServedModel
    trial: Trial | None = None
    serves: bool = True  # False: a version that was asked for by name and answers nobody else

    @property
    def name(self) -> str:
        """The model's name."""
        return self.champion.name

    @property
    def members(self) -> tuple[ServedModel, ...]:
        """Every version in memory for this model."""
        return (self.champion, self.trial.challenger) if self.trial else (self.champion,)


def in_role(served: ServedModel, variant: Variant, keys: TokenKeys) -> ServedModel:
    """The same loaded version, answering as `variant`."""
    if served.variant == variant.value:
        return served
    return replace(served, variant=variant.value, signer=keys.signer(served.name, served.version, variant.value))


def make_served(artifact: Artifact, since: datetime, spec: ModelSpec, booster: Booster, keys: TokenKeys) -> ServedModel:
    """The version, checked and warmed up. Raises ModelRefused when it does not fit its spec, or fails on a row."""
    if spec.name != artifact.model:
        raise ModelRefused("misfit", f"its spec describes the model {spec.name}")
    schema, answers = FeatureSchema(spec), Answers(spec)
    if booster.feature_names != schema.columns:
        raise ModelRefused(
            "misfit", f"its features are {_listed(booster.feature_names)}, its spec's {_listed(schema.columns)}"
        )
    if booster.outputs != answers.width:
        raise ModelRefused(
            "misfit", f"it gives {booster.outputs} numbers a row; a {spec.task} spec needs {answers.width}"
        )
    signer = keys.signer(artifact.model, artifact.version, Variant.CHAMPION.value)
    served = ServedModel(artifact, since, spec, schema, answers, booster, signer)
    _warm_up(served)
    return served


def _warm_up(served: ServedModel) -> None:
    """Answer one row by both ways, so that no client waits for first-use costs; both must agree."""
    row = msgspec.convert(served.schema.example(), served.schema.row_type)
    single = served.booster.predict_one(served.schema.numbers(row))
    several = served.booster.predict(served.schema.rows([row, row]))
    if single != several[0].tolist():
        raise ModelRefused("crashed", f"one row gives {single} alone, {several[0].tolist()} among others")
    if not all(abs(number) < float("inf") for number in single):
        raise ModelRefused("crashed", f"it answers {single}")
    served.answers.decide(single)


def _listed(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:10])
    return shown if len(names) <= 10 else f"{shown} and {len(names) - 10} more"
