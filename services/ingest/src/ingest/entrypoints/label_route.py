"""GET /v1/models/{model}/label: which answers a model can give, so that a form can offer them."""

from collections.abc import Awaitable, Callable
from typing import Literal

from pydantic import BaseModel, Field

from http_api.problems import ProblemError
from ingest.application.ports import Models
from ingest.domain.models import KnownModel
from ingest.domain.refusals import UnknownModel
from ingest.entrypoints import statuses

PATH = "/v1/models/{model}/label"


class LabelBody(BaseModel):
    """What a right answer of the model looks like."""

    model: str
    task: Literal["binary", "multiclass", "regression"]
    name: str = Field(description="What the label is called")
    values: list[str] | None = Field(description="The labels; null for a regression, whose label is a number")
    range: tuple[float, float] | None = Field(description="Of a regression: lowest and highest label")


def label_of(models: Models, look_for_models: Callable[[], Awaitable[None]]) -> Callable[[str], Awaitable[LabelBody]]:
    """The route's function. `look_for_models` reads the specs anew, for models that were added this moment."""

    async def model_label(model: str) -> LabelBody:
        """Which labels feedback on the model may name."""
        known = models.get(model)
        if known is None:
            await look_for_models()
            known = models.get(model)
        if known is None:
            raise ProblemError(statuses.problem_of(UnknownModel(model, models.names())))
        return _body(known)

    return model_label


def _body(known: KnownModel) -> LabelBody:
    spec = known.spec
    return LabelBody(
        model=spec.name,
        task=spec.task,
        name=spec.label.name,
        values=list(spec.classes) or None,
        range=spec.label.range,
    )
