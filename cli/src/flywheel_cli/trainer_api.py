"""Asking the trainer, and waiting for what it does."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, NoReturn

import httpx

from flywheel_cli.environment import service_url
from flywheel_cli.output import fail

POLL_S = 0.3


class Service:
    """One of our services over HTTP. A refusal ends the command with the problem's own words."""

    def __init__(self, name: str, *, timeout_s: float = 30.0) -> None:
        self._name = name
        key = os.environ.get("FLYWHEEL_API_KEY")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.url = service_url(os.environ, name)
        self._http = httpx.Client(base_url=self.url, headers=headers, timeout=timeout_s, trust_env=False)

    def get(self, path: str, *, patience_s: float = 0.0) -> Any:
        """The JSON reply. Who waits for something anyway is patient: a 503 is asked again after its Retry-After."""
        deadline = time.monotonic() + patience_s

        def ask() -> httpx.Response:
            while (reply := self._http.get(path)).status_code == HTTPStatus.SERVICE_UNAVAILABLE:
                rest_s = float(reply.headers.get("Retry-After", POLL_S))
                if time.monotonic() + rest_s > deadline:
                    break
                time.sleep(rest_s)
            return reply

        return self._answer(ask).json()

    def page(self, path: str) -> tuple[list[str], str | None]:
        """The lines of an NDJSON reply, and the path of the next page."""
        reply = self._answer(lambda: self._http.get(path))
        return reply.text.splitlines(), reply.links.get("next", {}).get("url")

    def post(self, path: str, body: dict[str, Any], *, timeout_s: float = 60.0) -> Any:
        """The JSON reply."""
        return self._answer(lambda: self._http.post(path, json=body, timeout=timeout_s)).json()

    def delete(self, path: str) -> Any:
        """The JSON reply."""
        return self._answer(lambda: self._http.delete(path)).json()

    def _answer(self, ask: Callable[[], httpx.Response]) -> httpx.Response:
        try:
            reply = ask()
        except httpx.TransportError as exc:
            service = self._name.lower()
            fail(f"{service} at {self.url} does not answer: {exc}", f"`make up` starts it; {self._name}_URL moves it.")
        return reply if reply.is_success else _refused(reply)


def run_ended(run: dict[str, Any]) -> bool:
    """Whether a run as GET …/runs shows it has come to its end, as far as its rollout, which may take days."""
    return bool(run["outcome"] or run["failed"] or run["rollout"])


def wait_for_run(
    trainer: Service, model: str, is_it: Callable[[dict[str, Any]], bool], *, timeout_s: float, quiet: bool
) -> dict[str, Any]:
    """The run for which `is_it` holds, once it has ended; shows the stage meanwhile unless `quiet`."""
    deadline = time.monotonic() + timeout_s
    with _spinner(quiet) as tell:
        while True:
            answer = trainer.get(f"/v1/models/{model}/runs", patience_s=deadline - time.monotonic())
            run = next((run for run in answer["runs"] if is_it(run)), None)
            if run and run_ended(run):
                return dict(run)
            if time.monotonic() > deadline:
                remedy = f"`flywheel model show {model}` says what became of it."
                fail(f"The training of {model} did not end within {timeout_s:g} s; it goes on.", remedy)
            running = answer["running"]
            tell(f"{running['stage']} ({running['for_s']:.0f} s)" if running else "waiting for the trainer")
            time.sleep(POLL_S)


@contextmanager
def _spinner(quiet: bool) -> Iterator[Callable[[str], None]]:
    if quiet:
        yield lambda _: None
        return
    from rich.console import Console

    with Console(stderr=True).status("starting") as status:
        yield status.update


def _refused(reply: httpx.Response) -> NoReturn:
    try:
        problem = reply.json()
    except ValueError:
        problem = {}
    detail = problem.get("detail") or f"HTTP {reply.status_code}"
    errors = [f"{error['pointer']}: {error['detail']}" for error in problem.get("errors", [])]
    remedies = {
        401: "Set FLYWHEEL_API_KEY to a key that `flywheel keys create` made.",
        403: "Use a key with the role that is missing.",
        409: "Nothing changed; `flywheel model show MODEL` lists versions, `flywheel model rollout MODEL` a trial.",
        404: "`flywheel model list` shows the models there are.",
        503: "`flywheel doctor` says what is not reachable; the same again later is safe.",
    }
    fail("\n".join([str(detail), *errors]), remedies.get(reply.status_code, "Mend the request and send it again."))
