"""POST /v1/models/{model}/predict where all is as it should be; the rest is left to the front door, which explains."""

import time
from functools import partial

from http_api.express import Answer, Headers, Taker
from http_api.problems import ProblemError
from http_api.raw_headers import text
from inference.entrypoints import predict, replies
from inference.entrypoints.admission import TIMEOUT_HEADER
from inference.entrypoints.desk import Desk
from telemetry import tracing

_PREFIX, _SUFFIX = predict.PREFIX.encode(), predict.SUFFIX.encode()
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
_NEEDS_MORE = frozenset({b"content-encoding", TIMEOUT_HEADER})


class PredictLane:
    """Answers small requests in the turn in which they are read (an http_api.express.Lane)."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.limit_bytes = desk.at_once_bytes

    def taker(self, url: bytes) -> Taker | None:
        """Answers requests about the model that `url` names; None for another route, or with a query."""
        if not url.endswith(_SUFFIX) or not url.startswith(_PREFIX):
            return None
        return partial(self._take, url[len(_PREFIX) : -len(_SUFFIX)].decode("latin-1"))

    def _take(self, model: str, headers: Headers, body: bytes, answer: Answer) -> bool:
        started_s = time.perf_counter()
        head = dict(headers)
        if head.get(b"content-type") != b"application/json" or not _NEEDS_MORE.isdisjoint(head):
            return False
        desk = self._desk
        if not desk.admission.has_room:
            return False
        try:
            predict.authorize(desk.keys, head)
            lineup = desk.lineup(model)
            if (trace := tracing.continue_unless_kept(text(head, b"traceparent"))) is None:
                return False
            reply = predict.reply(desk, lineup, body, traceparent=trace, started_s=started_s)
        except ProblemError:
            return False
        replies.replied(replies.PREDICT, 200)
        answer(_HEAD % len(reply), reply)
        return True
