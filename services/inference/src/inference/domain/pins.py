"""Pins: a replica told to serve one version of a model, whatever is promoted meanwhile."""

from collections.abc import Mapping

Pins = Mapping[str, str]


def parse_pins(text: str) -> dict[str, str]:
    """`flights:challenger,trips:7` as {model: version or alias}. Raises ValueError that says how to write it."""
    pins: dict[str, str] = {}
    for part in filter(None, map(str.strip, text.split(","))):
        model, _, pin = (piece.strip() for piece in part.partition(":"))
        if not model or not pin:
            raise ValueError(f"{part!r} pins nothing; write model:version or model:alias, with commas between")
        if model in pins:
            raise ValueError(f"{model} is pinned twice; a replica serves one version of a model")
        pins[model] = pin
    return pins
