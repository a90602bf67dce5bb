"""Ask a model, see why it answered so, teach it, and follow what becomes of that."""

import asyncio
from collections.abc import Mapping
from typing import Any

from console.application.ports import NotAllowed, NotThere, Services
from console.entrypoints.security import Viewer
from console.entrypoints.site import Query
from console.entrypoints.views import Views
from flywheel_schemas.spec import ModelSpec

_MOST_CONTRIBUTIONS = 8


async def form(views: Views, viewer: Viewer, query: Query) -> dict[str, Any]:
    """The form of one model's features, filled with what the address says."""
    specs = await asyncio.to_thread(views.tables.specs)
    name = query.get("model") or next(iter(sorted(specs)), "")
    if name and name not in specs:
        raise NotThere(f"There is no model named {name}.")
    spec = specs.get(name)
    return {
        "names": sorted(specs),
        "name": name,
        "fields": _fields(spec, query) if spec else [],
        "answer": None,
        "refusal": None,
        "component": await _component(views.services, viewer),
    }


async def ask(views: Views, viewer: Viewer, given: Query) -> dict[str, Any]:
    """As `form`, with the model's answer to it, or why there is none."""
    shown = await form(views, viewer, given)
    specs = await asyncio.to_thread(views.tables.specs)
    instance = _instance(specs[shown["name"]], given)
    path = f"/v1/models/{shown['name']}/predict?explain=true"
    try:
        body = await views.services.post("inference", path, {"instances": [instance]}, viewer.key)
    except (NotAllowed, NotThere) as refusal:
        return {**shown, "refusal": str(refusal)}
    answer = body["predictions"][0]
    return {**shown, "answer": answer, "why": _contributions(answer)}


def _fields(spec: ModelSpec, query: Query) -> list[dict[str, Any]]:
    fields = []
    for feature in spec.features:
        low, high = feature.range or (None, None)
        usual = feature.values[0] if feature.values else "" if low is None or high is None else f"{(low + high) // 2:g}"
        fields.append(
            {
                "name": feature.name,
                "values": feature.values,
                "low": low,
                "high": high,
                "required": feature.required,
                "value": query.get(f"f.{feature.name}", usual if feature.required else ""),
            }
        )
    return sorted(fields, key=lambda field: not field["required"])


def _instance(spec: ModelSpec, given: Query) -> dict[str, str | float]:
    found: dict[str, str | float] = {}
    for feature in spec.features:
        text = given.get(f"f.{feature.name}", "").strip()
        if text:
            found[feature.name] = text if feature.type == "category" else _number(text)
    return found


def _number(text: str) -> str | float:
    """What is no number goes on as text, and the service says what is wrong with it."""
    try:
        return float(text)
    except ValueError:
        return text


def _contributions(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The features that moved the answer most, with their share of the largest, in tenths."""
    found = sorted((answer.get("contributions") or {}).items(), key=lambda each: -abs(each[1]))[:_MOST_CONTRIBUTIONS]
    largest = max((abs(value) for _, value in found), default=0.0) or 1.0
    return [
        {"name": name, "value": value, "tenths": round(abs(value) / largest * 10), "up": value > 0}
        for name, value in found
    ]


async def _component(services: Services, viewer: Viewer) -> Any:
    return await services.get("ingest", "/assets/feedback/v1/manifest.json", viewer.key)
