"""POST /v1/feedback/batch: many events, one wait for Kafka, an answer for each."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from time import perf_counter
from typing import Any
from uuid import UUID

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from flywheel_schemas.topics import FEEDBACK_EVENTS
from http_api import body, problems
from http_api.keys import ApiKeys
from http_api.problems import Problem
from ingest.application.ports import Accepted, NotPublished, Publishing
from ingest.domain.limits import MAX_BATCH_BYTES
from ingest.domain.refusals import UnknownModel
from ingest.domain.submission import Arrival
from ingest.entrypoints import splitting, statuses
from ingest.entrypoints.intake import Intake
from ingest.entrypoints.measures import TALLY
from kafka_runtime import messaging
from telemetry import logging, tracing

PATH = "/v1/feedback/batch"
MEDIA_TYPES = (body.JSON, *splitting.NDJSON)
# Other requests get their turn while a long batch is checked.
_TURN_S = 0.004
_BIG_BYTES = 256 * 1024
_MAX_LINES = 20
log = logging.get(__name__)


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
        self._publishing = publishing
        self._keys = keys

    async def __call__(self, request: Request) -> Response:
        """202 all were accepted, 207 some, 422 none; 413, 429 or 503 for the whole."""
        try:
            principal = self._keys.authenticate(request.headers)
            principal.require("feedback:write")
            media_type = body.require_media_type(request, MEDIA_TYPES)
            raw = await body.read(request, MAX_BATCH_BYTES)
            response = await self._take(raw, principal.key_id, lines=media_type != body.JSON)
        except statuses.FAILURES as failure:
            TALLY.refused(statuses.reason_of(failure))
            response = problems.response(statuses.problem_of(failure), PATH)
        TALLY.answered(PATH, response.status_code)
        return response

    async def _take(self, raw: bytes, key_id: str | None, *, lines: bool) -> Response:
        arrival = Arrival(datetime.now(UTC), key_id)
        outcomes = await self._check(await _split(raw, lines=lines), arrival)
        accepted = [each for each in outcomes if isinstance(each, Accepted)]
        begun = perf_counter()
        with messaging.sending(FEEDBACK_EVENTS, batch=len(accepted)):
            failed = await self._publishing.publish_all(accepted, arrival.received_at, tracing.current_traceparent())
        TALLY.published_in(perf_counter() - begun)
        if failed:
            outcomes = [
                Refusal(failed[each.event_id], each.event_id)
                if isinstance(each, Accepted) and each.event_id in failed
                else each
                for each in outcomes
            ]
        _count(outcomes)
        return _answer(outcomes)

    async def _check(self, batch: splitting.Batch, arrival: Arrival) -> list[Outcome]:
        outcomes: list[Outcome] = []
        turn_ends, looked = perf_counter() + _TURN_S, False
        for raw, quick in zip(batch.raws, batch.quick, strict=True):
            try:
                outcomes.append(self._intake.decide(raw, quick, arrival))
            except statuses.FAILURES as failure:
                if isinstance(failure, UnknownModel) and not looked:
                    looked = True
                    await self._intake.look_for_models()
                    outcomes.append(self._once_more(raw, arrival))
                else:
                    outcomes.append(Refusal(failure, _claimed_id(raw)))
            if perf_counter() > turn_ends:
                await asyncio.sleep(0)
                turn_ends = perf_counter() + _TURN_S
        return outcomes

    def _once_more(self, raw: bytes, arrival: Arrival) -> Outcome:
        try:
            return self._intake.take(raw, arrival)
        except statuses.FAILURES as failure:
            return Refusal(failure, _claimed_id(raw))


async def _split(raw: bytes, *, lines: bool) -> splitting.Batch:
    if len(raw) <= _BIG_BYTES:
        return splitting.split(raw, lines=lines)
    return await asyncio.to_thread(splitting.split, raw, lines=lines)


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
    TALLY.all_accepted([each.model for each in outcomes if isinstance(each, Accepted)])
    for number, refusal in enumerate(each for each in outcomes if isinstance(each, Refusal)):
        reason = statuses.reason_of(refusal.failure)
        TALLY.refused(reason)
        if number < _MAX_LINES:
            log.info("feedback_refused", reason=reason, event_id=refusal.event_id)


class _OnlyId(msgspec.Struct):
    event_id: UUID | None = None


_decode_id = msgspec.json.Decoder(_OnlyId).decode


def _claimed_id(raw: bytes) -> str | None:
    try:
        claimed = _decode_id(raw).event_id
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return None if claimed is None else str(claimed)
