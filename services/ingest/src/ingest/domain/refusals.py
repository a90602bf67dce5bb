"""Why feedback is not taken.

Refused
├── DoesNotFit       fields that disagree with the contract, the model's spec or the token
├── UnknownModel     no such model
├── TokenRefused     a token that is forged, malformed or too old
└── TokenMissing     a token is required here, and there is none
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing to mend: an RFC 6901 pointer into the feedback, and a sentence."""

    pointer: str
    detail: str


class Refused(Exception):
    """The root: feedback that is not taken. `violations` may name the fields."""

    violations: Sequence[Violation] = ()


class DoesNotFit(Refused):
    """Fields that must be mended."""

    def __init__(self, violations: Sequence[Violation]) -> None:
        super().__init__("; ".join(f"{each.pointer or '/'}: {each.detail}" for each in violations))
        self.violations = violations


class UnknownModel(Refused):
    """There is no model of that name."""

    def __init__(self, model: str, known: Sequence[str]) -> None:
        shown = ", ".join(known[:20]) if known else "none yet; `flywheel model add` adds one"
        super().__init__(f"There is no model {model!r}; known models: {shown}.")
        self.violations = (Violation("/model", f"unknown model; known: {shown}"),)


class TokenRefused(Refused):
    """The feedback token must not be believed."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.violations = (Violation("/feedback_token", why),)


class TokenMissing(Refused):
    """Only those who got a prediction may teach here."""

    def __init__(self, kind: str) -> None:
        why = "an example has none, so examples are not taken here" if kind == "example" else "send the prediction's"
        super().__init__(f"This service takes feedback only with a feedback_token: {why}.")
        self.violations = (Violation("/feedback_token", "is required here"),)
