"""Waiting until a promoted version answers, so that the next command finds it."""

import os
import time

import httpx

from flywheel_cli.environment import service_url
from flywheel_cli.output import complain

POLL_S = 0.2


def wait_until_served(model: str, version: str, *, timeout_s: float = 30.0, silent_s: float = 5.0) -> None:
    """Return when inference has loaded `version`.

    Complains, and goes on, when it does not within `timeout_s`, or does not answer at all within `silent_s`.
    """
    url = f"{service_url(os.environ, 'INFERENCE')}/v1/models/{model}"
    key = os.environ.get("FLYWHEEL_API_KEY")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    began, deadline_s = time.monotonic(), silent_s
    with httpx.Client(headers=headers, timeout=5.0, trust_env=False) as http:
        while (loaded := _loaded(http, url, version)) is not True:
            if loaded is not None:
                deadline_s = timeout_s
            if time.monotonic() - began > deadline_s:
                complain(
                    f"{model} version {version} is promoted, but inference does not serve it yet.",
                    "`flywheel doctor` says what inference waits for; it serves the version as soon as it can.",
                )
                return
            time.sleep(POLL_S)


def _loaded(http: httpx.Client, url: str, version: str) -> bool | None:
    """Whether it is; None where nobody answers."""
    try:
        answer = http.get(url)
        return any(each["version"] == version and each["loaded"] for each in answer.json()["versions"])
    except httpx.TransportError:
        return None
    except (ValueError, KeyError):
        return False
