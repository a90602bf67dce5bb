"""POST /v1/feedback/batch: many events, one wait for Kafka, an answer for each."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from time import perf_counter
from typing import Any
from uuid import UUID

import msgspec
from http_api import body, problems
from http_api.keys import ApiKeys
from http_api.problems import Problem
from starlette.requests import Request
from starlette.responses import Response
from telemetry import tracing

from ingest.application.ports import Accepted, NotPublished, Publishing
from ingest.domain.limits import MAX_BATCH_BYTES
from ingest.domain.refusals import UnknownModel
from ingest.entrypoints import measures, splitting, statuses
from ingest.entrypoints.intake import Intake

PATH = "/v1/feedback/batch"
MEDIA_TYPES = (body.JSON, *splitting.NDJSON)
# Other requests get their turn while a long batch is checked.
_TURN_S = 0.004
_EVENTS_A_LOOK = 32
_BIG_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Refusal:
    """An event that was not taken, under the id that its client gave it, if any."""

    failure: statuses.Failure
    event_id: str | None


Outcome = Accepted | Refusal


class BatchRoute:
    """Takes what fits of a batch, and answers when Kafka has it."""

    def __init__(self, intake: Intake, publishing: Publishing, keys: ApiKeys) -> None:
        self._intake = intake
        self._look_for_models = intake.look_for_models
        self._publishing = publishing
        self._keys = keys

    async def __call__(self, request: Request) -> Response:
        """202 all were accepted, 207 some, 422 none; 413, 429 or 503 for the whole."""
        parent = request.headers.get("traceparent")
        try:
            self._keys.authenticate(request.headers).require("feedback:write")
            media_type = body.require_media_type(request, MEDIA_TYPES)
            raw = await body.read(request, MAX_BATCH_BYTES)
            events = await _split(raw, media_type)
            with tracing.span(f"POST {PATH}", kind=tracing.SpanKind.SERVER, parent=parent):
                response = await self._take(events)
        except statuses.FAILURES as failure:
            measures.TALLY.refused(statuses.reason_of(failure))
            response = problems.response(statuses.problem_of(failure), PATH)
        measures.TALLY.answered(PATH, response.status_code)
        return response

    async def _take(self, events: Sequence[bytes]) -> Response:
        now = datetime.now(UTC)
        checked = await self._check(events, now)
        accepted = [each for each in checked if isinstance(each, Accepted)]
        begun = perf_counter()
        errors = await self._publishing.publish_all(accepted, now, tracing.current_traceparent())
        measures.TALLY.published_in(perf_counter() - begun)
        published = iter(errors)
        outcomes = [_published(each, next(published)) if isinstance(each, Accepted) else each for each in checked]
        _count(outcomes)
        return _answer(outcomes)

    async def _check(self, events: Sequence[bytes], now: datetime) -> list[Outcome]:
        checked: list[Outcome] = []
        turn_ends, looked = perf_counter() + _TURN_S, False
        for index, raw in enumerate(events):
            outcome = self._outcome(raw, now)
            if not looked and isinstance(outcome, Refusal) and isinstance(outcome.failure, UnknownModel):
                looked = True
                await self._look_for_models()
                outcome = self._outcome(raw, now)
            checked.append(outcome)
            if index % _EVENTS_A_LOOK == 0 and perf_counter() > turn_ends:
                await asyncio.sleep(0)
                turn_ends = perf_counter() + _TURN_S
        return checked

    def _outcome(self, raw: bytes, now: datetime) -> Outcome:
        try:
            return self._intake.take(raw, now)
        except statuses.FAILURES as failure:
            return Refusal(failure, _claimed_id(raw))


async def _split(raw: bytes, media_type: str) -> list[bytes]:
    split = splitting.array if media_type == body.JSON else splitting.lines
    return await asyncio.to_thread(split, raw) if len(raw) > _BIG_BYTES else split(raw)


def _published(event: Accepted, error: NotPublished | None) -> Outcome:
    return event if error is None else Refusal(error, event.event_id)


def _answer(outcomes: Sequence[Outcome]) -> Response:
    items = [_item(index, outcome) for index, outcome in enumerate(outcomes)]
    refused = [outcome for outcome in outcomes if isinstance(outcome, Refusal)]
    accepted = len(items) - len(refused)
    content = {"accepted": accepted, "rejected": len(refused), "items": items}
    lost = next((each.failure for each in refused if isinstance(each.failure, NotPublished)), None)
    if lost is not None and not accepted:
        whole = statuses.problem_of(lost)
        return problems.response(Problem(whole.status, whole.title, whole.detail, (), whole.headers, content), PATH)
    status = 202 if not refused else 207 if accepted else 422
    return Response(msgspec.json.encode(content), status, media_type=body.JSON)


def _item(index: int, outcome: Outcome) -> dict[str, Any]:
    if isinstance(outcome, Accepted):
        return {"index": index, "event_id": outcome.event_id, "status": "accepted"}
    problem = statuses.problem_of(outcome.failure).members()
    return {"index": index, "event_id": outcome.event_id, "status": "rejected", "problem": problem}


def _count(outcomes: Sequence[Outcome]) -> None:
    for outcome in outcomes:
        if isinstance(outcome, Accepted):
            measures.TALLY.accepted(outcome.model)
        else:
            measures.TALLY.refused(statuses.reason_of(outcome.failure))


class _OnlyId(msgspec.Struct):
    event_id: UUID | None = None


_decode_id = msgspec.json.Decoder(_OnlyId).decode


def _claimed_id(raw: bytes) -> str | None:
    try:
        claimed = _decode_id(raw).event_id
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return None if claimed is None else str(claimed)
