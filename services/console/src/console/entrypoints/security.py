"""Who may look and who may act, and what keeps other sites' pages out."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from http import HTTPStatus
from urllib.parse import urlsplit

from fastapi import FastAPI, Request, Response
from fastapi.security import HTTPBasic

from http_api import problems
from http_api.key_file import Role
from http_api.keys import ApiKeys
from http_api.problems import Problem, ProblemError

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_BASIC = HTTPBasic(auto_error=False)


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks: the name of their key, and the key that other services are asked with (None where none are in use)."""

    name: str
    key: str | None
    may_operate: bool


def install(app: FastAPI, api_keys: ApiKeys) -> None:
    """Guard every request: a page of another site can neither act nor, by a name of its own for this address, read."""

    @app.middleware("http")
    async def guard(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        why = _foreign(request, keys_in_use=api_keys.in_use)
        if why is not None:
            return problems.response(Problem(403, "Forbidden", why), request.url.path)
        response = await call_next(request)
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        return response


def viewer_of(api_keys: ApiKeys) -> Callable[..., Awaitable[Viewer]]:
    """A dependency: who looks. They have the role read, or the browser is told to ask for a key."""
    return _having(api_keys, "read")


def operator_of(api_keys: ApiKeys) -> Callable[..., Awaitable[Viewer]]:
    """A dependency: who acts. They have the role operate."""
    return _having(api_keys, "operate")


def _having(api_keys: ApiKeys, role: Role) -> Callable[..., Awaitable[Viewer]]:
    async def viewer(request: Request) -> Viewer:
        given = await _BASIC(request)
        try:
            principal = api_keys.authenticate_text(given.password if given else None)
            principal.require(role)
        except ProblemError as error:
            raise ProblemError(_asking_for_a_key(error.problem)) from error
        key = given.password if given and api_keys.in_use else None
        return Viewer(principal.key_id or "anonymous", key, "operate" in principal.roles)

    return viewer


def _foreign(request: Request, *, keys_in_use: bool) -> str | None:
    """Why the request must not be answered, or None.

    Browsers say where a request comes from (Sec-Fetch-Site, or at least Origin); other programs say nothing, and hold
    no one's sign-in. Without keys the service is for this machine: another host name would be DNS rebinding.
    """
    host = urlsplit(f"//{request.headers.get('host', '')}")
    if not keys_in_use and host.hostname not in _LOOPBACK:
        return "Without API keys the console answers on this machine only, by the name localhost or 127.0.0.1."
    if request.method in {"GET", "HEAD", "OPTIONS"}:
        return None
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    same = site in {"same-origin", "none"} if site else origin is None or urlsplit(origin).netloc == host.netloc
    return None if same else "This was asked for by a page of another site; act from the console's own pages."


def _asking_for_a_key(problem: Problem) -> Problem:
    """As `problem`, with the header that makes a browser ask."""
    if problem.status != HTTPStatus.UNAUTHORIZED:
        return problem
    detail = "Sign in with any name and an API key of the role read as password; `flywheel keys create` makes one."
    return replace(problem, detail=detail, headers={"WWW-Authenticate": 'Basic realm="flywheel", charset="UTF-8"'})
