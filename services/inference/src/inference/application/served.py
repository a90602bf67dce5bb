"""One version, ready to answer."""

from dataclasses import dataclass
from datetime import datetime

import msgspec

from features import Answers, FeatureSchema
from flywheel_schemas.events import Variant
from flywheel_schemas.spec import ModelSpec
from flywheel_schemas.tokens import TokenKeys, TokenSigner
from inference.application.ports import Booster, ModelRefused
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


def make_served(artifact: Artifact, since: datetime, spec: ModelSpec, booster: Booster, keys: TokenKeys) -> ServedModel:
    """The version, checked and warmed up. Raises ModelRefused when it does not fit its spec, or fails on a row."""
    if spec.name != artifact.model:
        raise ModelRefused("misfit", f"its spec describes the model {spec.name}")
    schema, answers = FeatureSchema(spec), Answers(spec)
    if booster.feature_names != schema.names:
        raise ModelRefused(
            "misfit", f"its features are {_listed(booster.feature_names)}, its spec's {_listed(schema.names)}"
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
    example = {
        feature.name: feature.values[0] if feature.values else (feature.range or (0.0,))[0]
        for feature in served.spec.features
    }
    row = msgspec.convert(example, served.schema.row_type)
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
