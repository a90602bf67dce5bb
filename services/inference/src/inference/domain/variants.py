"""Who answers: the champion, or the challenger for its share of the traffic."""

import hashlib
from dataclasses import dataclass

from flywheel_schemas.events import Variant


@dataclass(frozen=True, slots=True)
class Traffic:
    """How a model's requests are shared out: the challenger's percentage, the champion takes the rest."""

    model: str
    challenger_percent: float = 0.0


def choose_variant(traffic: Traffic, unit: str) -> Variant:
    """The variant that answers `unit` (a user id, else a prediction id): the same on every replica.

    A unit's place is the first 8 bytes of SHA-256(model/unit) over 2^64, so a growing share only adds units.
    """
    if traffic.challenger_percent <= 0.0:
        return Variant.CHAMPION
    place = int.from_bytes(hashlib.sha256(f"{traffic.model}/{unit}".encode()).digest()[:8], "big")
    drawn = place < traffic.challenger_percent / 100.0 * 2.0**64
    return Variant.CHALLENGER if drawn else Variant.CHAMPION
