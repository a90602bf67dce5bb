"""`make pictures` takes docs/images/console: every page, on a stack of its own that has lived a little.

The story is the tutorial's: its commands are run as they stand. Takes some minutes.
"""

import io
import json
import os
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from flywheel_client import Client, Feedback
from flywheel_local.stack import Stack
from flywheel_schemas.topics import FEEDBACK_EVENTS
from kafka_runtime.publisher import Publisher
from kafka_runtime.settings import KafkaSettings
from tests import story
from tests.browsing import check_fits
from tests.debian import CHROMIUM
from tests.http import http
from tests.waiting import until

FOLDER = story.ROOT / "docs/images/console"
MODEL, WIDTHS, TALLEST, COLOURS = story.MODEL, (390, 768, 1440), 2000, 64
PAGES = {
    "overview": "/",
    "models": "/models",
    "model": f"/models/{MODEL}",
    "version": f"/models/{MODEL}/versions/2",
    "promote": f"/models/{MODEL}/promote?version=1",
    "rollout": f"/rollouts?model={MODEL}",
    "dataset": f"/datasets?model={MODEL}",
    "diff": f"/datasets/{MODEL}/diff?from=1&to=2",
    "rollback": f"/datasets/{MODEL}/rollback?version=1",
    "erasure": "/erasures/new",
    "feedback": "/feedback",
    "drift": f"/drift?model={MODEL}",
    "alerts": "/alerts",
}
Scheme = Literal["light", "dark"]


def main() -> None:
    """Starts the stack, tells the story, takes the pictures, stops the stack."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="flywheel-pictures-") as home,
        Stack(Path(home), ready_timeout_s=600).while_in_use() as stack,
    ):
        with timed("1, up"):
            stack.start()
        with sync_playwright() as playwright:
            path = CHROMIUM.executable()
            browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
            take_all(browser, stack.env, Path(home))


def take_all(browser: Browser, env: Mapping[str, str], home: Path) -> None:
    """Tells the story and takes every picture of it."""
    shell, console = {**os.environ, "FLYWHEEL_HOME": str(home)}, env["CONSOLE_URL"]
    page, other = (browser.new_context(reduced_motion="reduce").new_page() for _ in range(2))
    for each in (page, other):
        each.set_default_timeout(60_000)
    with timed("2 to 4, the model"):
        for block in story.BEFORE:
            story.run(block, shell)
    with timed("5, ask"):
        story.ask(page, console)
    page.get_by_text("No, it was wrong").click()
    shoot_all(page, "try")
    with timed("6, correct"):
        story.correct(page)
    with timed("7, others"):
        for block in story.OTHERS:
            story.run(block, shell)
    with timed("8, retrain"):
        story.retrain(other, console)
    with timed("9, taught"):
        story.taught(page)
    shoot_all(page, "taught")
    event_id = str(page.locator("#fate [sse-connect]").get_attribute("sse-connect")).rpartition("/")[2]
    live(env)
    for name, path in {**PAGES, "event": f"/feedback/{event_id}"}.items():
        other.goto(console + path)
        other.wait_for_timeout(2_500)  # the stream has brought the page up to date
        shoot_all(other, name)


@contextmanager
def timed(step: str) -> Iterator[None]:
    """Prints how long a step of the tutorial took."""
    began = time.monotonic()
    yield
    print(f"step {step}: {time.monotonic() - began:.1f} s", flush=True)  # noqa: T201 - for whoever runs it


def shoot_all(page: Page, name: str) -> None:
    """The page at each width, and in dark."""
    for width in WIDTHS:
        shoot(page, name, width, "light")
    shoot(page, name, WIDTHS[-1], "dark")


def live(env: Mapping[str, str]) -> None:
    """A trial of the first version, people who ask and answer, an odd event, an erasure, a record nobody can read."""
    asked = {"version": "1", "reason": "is the old one really worse?", "strategy": "canary"}
    http.post(f"{env['TRAINER_URL']}/v1/models/{MODEL}/promote", json=asked, timeout=60)
    with Client(ingest_url=env["INGEST_URL"], inference_url=env["INFERENCE_URL"]) as services:
        odd = Feedback.example(MODEL, {"channel": "mail", "words": 4900.0, "hour": 3}, "urgent")
        services.feedback(odd)
        _put_broken_letter(env)
        until_s = time.monotonic() + 150  # two points of drift are a minute apart
        number = 0
        while time.monotonic() < until_s or not _compares(env):
            assert time.monotonic() < until_s + 300, "the trial has no evidence yet"
            for _ in range(200):
                number += 1
                _asks_and_answers(services, number)
        http.delete(f"{env['INGEST_URL']}/v1/users/person%201/feedback", timeout=60).raise_for_status()
        until(lambda: services.status(odd.event_id).status == "quarantined", 60)
    records = f"{env['TRAINER_URL']}/v1/erasures"
    until(lambda: http.get(records, timeout=60).json()["erasures"][0]["rows"], 120, "the erasure's rows", every_s=1.0)


def shoot(page: Page, name: str, width: int, scheme: Scheme) -> None:
    """One picture, of the whole page up to TALLEST pixels, in as many colours as it needs."""
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    page.wait_for_timeout(200)
    check_fits(page)
    height = min(TALLEST, page.evaluate("document.documentElement.scrollHeight"))
    raw = page.screenshot(full_page=True, clip={"x": 0, "y": 0, "width": width, "height": height})
    suffix = "-dark" if scheme == "dark" else ""
    Image.open(io.BytesIO(raw)).quantize(COLOURS).save(FOLDER / f"{name}-{width}{suffix}.png", optimize=True)
    page.emulate_media(color_scheme="light")


def _asks_and_answers(services: Client, number: int) -> None:
    words = 5 + number * 37 % 400
    ticket = {"channel": ("mail", "chat", "phone")[number % 3], "words": words, "hour": number % 24}
    [answer] = services.predict(MODEL, [ticket], user_id=f"person {number % 200}")
    right = "urgent" if words < 120 else "normal"
    said = {"token": answer.feedback_token, "user_id": f"person {number % 200}"}
    if number % 2:
        services.feedback(
            Feedback.correction(right, **said, comment="It is the short ones." if number % 9 == 1 else None)
        )


def _compares(env: Mapping[str, str]) -> bool:
    """Whether there is enough evidence of the trial to draw a line."""
    points = http.get(f"{env['TRAINER_URL']}/v1/models/{MODEL}/rollout", timeout=60).json()["evidence"]
    return sum(point["difference"] is not None for point in points) > 1


def _put_broken_letter(env: Mapping[str, str]) -> None:
    now = datetime.now(UTC).isoformat()
    event: dict[str, Any] = {
        "event_id": str(uuid.uuid4()),
        "model": MODEL,
        "kind": "exmaple",
        "label": "urgent",
        "source": "import",
    }
    event |= {"features": {"channel": "mail"}, "occurred_at": now, "received_at": now}
    publisher = Publisher(KafkaSettings(bootstrap_servers=env["KAFKA_BOOTSTRAP_SERVERS"]), "/pictures")
    publisher.send_and_wait(FEEDBACK_EVENTS, str(event["event_id"]).encode(), json.dumps(event).encode(), [])
    publisher.close()


if __name__ == "__main__":
    main()
