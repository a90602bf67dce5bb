"""What operators ask of every service: is it alive, can it do its job, its metrics; and that its requests are seen."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from http_api.observed import Observed
from telemetry import logging, metrics

Check = Callable[[], Awaitable[str | None]]

_CHECK_TIMEOUT_S = 3.0
log = logging.get(__name__)


def install(app: FastAPI, checks: Mapping[str, Check], alive: Callable[[], str | None] = lambda: None) -> None:
    """Add /healthz, /readyz and /metrics to `app`, all without a key, and count and trace all other requests.

    A check gives None when its dependency serves, else a sentence with what is wrong and what to do;
    `alive` likewise says why the process should be restarted. Each check has 3 s.
    """

    async def healthz(_: Request) -> Response:
        return _answer({"alive": alive()})

    async def readyz(_: Request) -> Response:
        found = await asyncio.gather(*(_run(name, check) for name, check in checks.items()))
        return _answer(dict(zip(checks, found, strict=True)))

    async def prometheus(_: Request) -> Response:
        body, content_type = metrics.render()
        return Response(body, media_type=content_type)

    app.add_route("/healthz", healthz, include_in_schema=False)
    app.add_route("/readyz", readyz, include_in_schema=False)
    app.add_route("/metrics", prometheus, include_in_schema=False)
    app.add_middleware(Observed)


def _answer(troubles: Mapping[str, str | None]) -> Response:
    down = any(trouble is not None for trouble in troubles.values())
    body = {
        "status": "unavailable" if down else "ok",
        "checks": {name: trouble or "ok" for name, trouble in troubles.items()},
    }
    return JSONResponse(body, 503 if down else 200, {"Cache-Control": "no-store"})


async def _run(name: str, check: Check) -> str | None:
    try:
        async with asyncio.timeout(_CHECK_TIMEOUT_S):
            return await check()
    except TimeoutError:
        return f"{name} did not answer within {_CHECK_TIMEOUT_S:g} s"
    except Exception as error:
        # A check that breaks is itself the finding; readiness must still be told.
        log.exception("readiness_check_failed", check=name)
        return f"the check itself failed: {type(error).__name__}; the log has the details"
