"""What the protocol asks for and answers, apart from HTTP and gRPC."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from importlib.metadata import version as installed_version

from inference.application.answer import Question
from inference.application.served import Lineup, ServedModel
from inference.entrypoints.desk import Desk
from inference.entrypoints.open_inference import model
from inference.entrypoints.open_inference.tensors import InputError, Tensor
from inference.entrypoints.requests import MAX_USER_ID_CHARS

NAME, VERSION = "flywheel", installed_version("flywheel")
EXTENSIONS = ("binary_tensor_data",)
PLATFORM = "lightgbm"


@dataclass(frozen=True, slots=True)
class Asked:
    """One infer request. `binary`, `all_binary` and `plain` say in which form HTTP's outputs are wanted."""

    tensors: Sequence[Tensor]
    wanted: Sequence[str] = ()
    user_id: str | None = None
    explain: bool = False
    id: str | None = None
    binary: AbstractSet[str] = field(default_factory=frozenset)
    all_binary: bool = False
    plain: AbstractSet[str] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True)
class Replied:
    """One infer reply. Where a canary shares the rows of a request, `version` is that of the first row's."""

    model: str
    version: str
    tensors: Sequence[Tensor]


@dataclass(frozen=True, slots=True)
class Came:
    """How a request came: who answers, in which trace, and since when (by the monotonic clock)."""

    lineup: Lineup
    traceparent: str
    started_s: float


def infer(desk: Desk, came: Came, asked: Asked) -> Replied:
    """Answer each row. Raises InputError."""
    champion = came.lineup.champion
    rows = model.rows_of(asked.tensors, champion.schema)
    model.check_wanted(champion.spec, asked.wanted, explained=asked.explain)
    question = Question(rows, asked.user_id, came.traceparent, came.started_s, asked.explain)
    answers = desk.answer.answer(came.lineup, question)
    tensors = model.tensors_of(answers, champion.spec, asked.wanted, explained=asked.explain)
    return Replied(champion.name, answers[0].model_version, tensors)


def check_user_id(found: object) -> str | None:
    """The parameter user_id. Raises InputError."""
    if found is not None and (not isinstance(found, str) or not 1 <= len(found) <= MAX_USER_ID_CHARS):
        raise InputError(f"the parameter user_id is text of 1 to {MAX_USER_ID_CHARS} characters")
    return found


def shape_of(described: model.Described) -> list[int]:
    """A tensor's shape in metadata: any number of rows."""
    return [-1, *described[2]]


def versions_of(desk: Desk, served: ServedModel) -> list[str]:
    """Every version of the model that answers here, and the one that was asked for."""
    serving = [each.version for each in desk.lineup(served.name).members]
    return serving if served.version in serving else [*serving, served.version]
