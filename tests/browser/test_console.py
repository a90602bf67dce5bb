"""The console in Chromium before every real service: what it shows, and everything that an operator can do in it.

The tests are one story of one model and build on each other, in the order of the file.
"""

import csv
import json
import os
import random
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from flywheel_client import Client, Feedback
from flywheel_schemas.topics import FEEDBACK_EVENTS
from kafka_runtime.publisher import Publisher
from kafka_runtime.settings import KafkaSettings
from tests.browsing import check_fits
from tests.http import http
from tests.waiting import until

MODEL = f"desk-{uuid.uuid4().hex[:6]}"
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\u202e" + "x" * 300 + " \U0001f9e8\u200d\U0001f525"
SPEC = f"""
name: {MODEL}
task: binary
label: {{name: priority, values: [normal, urgent], positive: urgent}}
features:
  - {{name: channel, type: category, values: [mail, chat, phone], required: true}}
  - {{name: words, type: number, range: [0, 5000]}}
feedback: {{audit_percent: 100}}
retrain: {{feedback_count: null}}
training: {{rounds: 20}}
gates: {{min_gain: -1.0, confidence: 0, max_slice_loss: 1.0, max_calibration_error: 1.0, max_latency: 1s}}
"""
PAGES = ["/", "/try", "/models", f"/models/{MODEL}?beside=1", f"/models/{MODEL}/versions/1", "/feedback"]
PAGES += [f"/models/{MODEL}/promote?version=1", f"/rollouts?model={MODEL}", f"/datasets?model={MODEL}"]
PAGES += [f"/datasets/{MODEL}/diff?from=0&to=1", f"/datasets/{MODEL}/rollback?version=1", "/erasures/new"]
PAGES += [f"/drift?model={MODEL}", "/alerts"]


@dataclass
class Desk:
    """Whoever sits at the console, and what the story has left so far."""

    url: str
    env: dict[str, str]
    services: Client
    first: str
    taught: str = ""

    def does(self, page: Page, path: str, button: str | re.Pattern[str], why: str) -> None:
        """Opens an action's page, says why, and lets it be done."""
        page.goto(self.url + path)
        page.get_by_label("Why (kept in the log)").fill(why)
        page.get_by_role("button", name=button).click()
        expect(page.get_by_role("status").filter(has_text="Done")).to_be_visible(timeout=30_000)

    def says(self, label: str, *, user: str, comment: str | None = None) -> str:
        """A prediction, and what a user says about it; the event's id."""
        [answer] = self.services.predict(MODEL, [{"channel": "phone", "words": 30}], user_id=user)
        said = Feedback.correction(label, token=answer.feedback_token, user_id=user, comment=comment)
        self.services.feedback(said)
        return said.event_id

    def log(self) -> list[tuple[str, str, str]]:
        """Action, version and reason of each entry of the audit log, newest first."""
        body = http.get(f"{self.env['TRAINER_URL']}/v1/models/{MODEL}/audit-log", timeout=30).json()
        return [(each["action"], each["version"], each["reason"]) for each in body["entries"]]


@pytest.fixture(scope="module")
def desk(running_stack: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder, draw = tmp_path_factory.mktemp("desk"), random.Random(7)
    (folder / "desk.yaml").write_text(SPEC)
    with (folder / "desk.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["occurred_at", "channel", "words", "priority"])
        for n in range(800):
            channel, words = draw.choice(["mail", "chat", "phone"]), draw.randint(5, 400)
            moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=n)
            rows.writerow([moment.isoformat(), channel, words, "urgent" if channel == "phone" else "normal"])
    command = [sys.executable, "-m", "flywheel_cli", "model", "add", str(folder / "desk.yaml"), "--base"]
    env = {**running_stack.command_env, **running_stack.stack.env}
    subprocess.run([*command, str(folder / "desk.csv")], env=env, check=True, capture_output=True, timeout=240)
    first = http.get(f"{env['INFERENCE_URL']}/v1/models/{MODEL}", timeout=30).json()["champion"]
    with Client(ingest_url=env["INGEST_URL"], inference_url=env["INFERENCE_URL"]) as services:
        yield Desk(env["CONSOLE_URL"], env, services, first)


def test_feedback_given_in_the_console_teaches_a_version_and_the_component_says_so(desk: Desk, page: Page) -> None:
    desk.taught = desk.says("normal", user="forget me", comment=HOSTILE)
    for n in range(12):
        desk.says("urgent" if n % 2 else "normal", user=f"person {n}")
    page.goto(f"{desk.url}/try?model={MODEL}")
    page.get_by_label("channel").select_option("phone")
    page.get_by_label("words").fill("30")
    page.get_by_role("button", name="Ask").click()
    page.get_by_text("No, it was wrong").click()
    page.get_by_role("group", name="What would have been right?").locator("label").first.click()
    page.get_by_role("button", name="Send feedback").click()
    expect(page.locator("#fate .done", has_text="In the dataset")).to_be_visible(timeout=30_000)

    operator = page.context.new_page()
    desk.does(operator, f"/models/{MODEL}/retrain", re.compile("Retrain"), "what people said")
    operator.close()
    expect(page.locator("flywheel-feedback")).to_contain_text(
        f"Your feedback taught version {int(desk.first) + 1}", timeout=60_000
    )
    expect(page.locator("#fate")).to_contain_text("Trained into")


def test_a_rollout_is_begun_paused_resumed_and_taken_back_and_the_log_says_who_when_and_why(
    desk: Desk, page: Page
) -> None:
    page.goto(f"{desk.url}/models/{MODEL}/promote?version={desk.first}")
    page.get_by_label("How").select_option("canary")
    page.get_by_label("Why (kept in the log)").fill(HOSTILE)
    page.get_by_role("button", name=f"Promote version {desk.first} of {MODEL}").click()
    expect(page.get_by_role("status").filter(has_text="Done")).to_be_visible(timeout=30_000)
    for action, button, why in (("pause", "Pause", "lunch"), ("resume", "Resume", "fed"), ("rollback", "Roll", "no")):
        desk.does(page, f"/models/{MODEL}/{action}", re.compile(button), why)
    desk.does(page, f"/models/{MODEL}/promote?version={desk.first}", re.compile("Promote"), "as before")

    newest_first = ["promoted", "rolled_back", "resumed", "paused", "shadow"]
    assert [action for action, _, _ in desk.log()][:5] == newest_first
    page.goto(f"{desk.url}/models/{MODEL}?audit.q=lunch")
    row = page.get_by_role("region", name="Who did what").get_by_role("row").nth(1)
    expect(row).to_contain_text("anonymous")
    expect(row).to_contain_text("lunch")
    expect(row.locator("time")).not_to_contain_text("UTC")
    axis = page.locator("svg text[data-time]").all_text_contents()
    assert axis
    assert not any("UTC" in said for said in axis)


def test_quarantined_feedback_is_released_and_dropped(desk: Desk, page: Page) -> None:
    odd = [Feedback.example(MODEL, {"channel": "mail", "words": 4900.0}, "urgent", comment=HOSTILE) for _ in range(2)]
    held = [each.event_id for each in odd]
    for event_id, said in zip(held, odd, strict=True):
        desk.services.feedback(said)
        until(lambda event_id=event_id: desk.services.status(event_id).status == "quarantined", 30)
    table = page.get_by_role("region", name="Quarantine")
    for event_id, decision, state in zip(held, ("release", "drop"), ("released", "dropped"), strict=True):
        page.goto(f"{desk.url}/datasets?model={MODEL}&quarantine.q={event_id}")
        table.get_by_role("link", name=decision, exact=True).click()
        page.get_by_label("Why (kept in the log)").fill(f"to {decision} it")
        page.get_by_role("button").filter(has_text=event_id).click()
        page.goto(f"{desk.url}/datasets?model={MODEL}&quarantine.q={event_id}")
        expect(table).to_contain_text(f"to {decision} it")
        expect(table.locator(".badge")).to_have_text(state)


def test_a_user_is_erased_and_the_record_lists_what_had_learned_from_them(desk: Desk, page: Page) -> None:
    page.goto(f"{desk.url}/datasets?model={MODEL}")
    page.get_by_role("link", name="Erase the feedback of a user").click()
    expect(page.locator("main")).to_contain_text("It cannot be taken back")
    page.get_by_label("User id").fill("forget me")
    page.get_by_label("The same again").fill("forget him")
    page.get_by_role("button", name="Erase for good").click()
    expect(page.get_by_role("alert")).to_contain_text("the same user id twice")
    page.get_by_label("The same again").fill("forget me")
    page.get_by_role("button", name="Erase for good").click()

    expect(page).to_have_url(re.compile("/erasures/.+"))
    expect(page.locator("p.note", has_text="had learned from it")).to_contain_text(MODEL, timeout=60_000)
    expect(page.get_by_role("region", name="What it took")).to_contain_text(MODEL)
    expect(page.locator("main")).not_to_contain_text("forget me")
    assert desk.services.status(desk.taught).status == "erased"


def test_a_dataset_is_rolled_back_after_a_look_at_what_that_changes(desk: Desk, page: Page) -> None:
    page.goto(f"{desk.url}/datasets?model={MODEL}&versions.sort=version&versions.desc=1")
    versions = page.get_by_role("region", name="Versions")
    versions.get_by_role("link", name="what changed").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(f"Dataset of {MODEL}, version")
    page.goto(f"{desk.url}/datasets?model={MODEL}&versions.sort=version&versions.desc=1")
    versions.get_by_role("link", name="back to it").nth(1).click()
    expect(page.get_by_role("heading", name="What it would change")).to_be_visible()
    expect(page.get_by_text("Rows removed")).to_be_visible()
    page.get_by_label("Why (kept in the log)").fill("an import of nonsense")
    page.get_by_role("button", name=re.compile("Roll the dataset")).click()

    expect(page.get_by_role("status").filter(has_text="Done")).to_be_visible(timeout=30_000)
    page.goto(f"{desk.url}/datasets?model={MODEL}&versions.q=nonsense")
    expect(versions).to_contain_text("an import of nonsense")
    expect(versions).to_contain_text("anonymous")


def test_a_dead_letter_is_mended_and_sent_again_and_all_are_sent_again(desk: Desk, page: Page) -> None:
    event = _broken_letter(desk)
    page.goto(f"{desk.url}/alerts?letters.q={event['event_id']}")
    page.get_by_role("link", name="look into").click(timeout=30_000)
    expect(page.get_by_label("The record as it came")).to_have_value(re.compile("<script>"))
    page.get_by_role("button", name="Send it again").click()
    expect(page.get_by_role("alert")).to_contain_text("This is no feedback event")
    page.get_by_label("The record as it came").fill(json.dumps(event))
    page.get_by_role("button", name="Send it again").click()
    expect(page).to_have_url(re.compile(f"/feedback/{event['event_id']}"))
    until(lambda: desk.services.status(event["event_id"]).status == "stored", 30, "the mended event to be stored")

    page.goto(f"{desk.url}/alerts")
    page.get_by_role("button", name="Send all of them again").click()
    expect(page.get_by_role("status").filter(has_text="sent again")).to_contain_text("left because they are no events")


def test_two_browsers_see_the_same_feedback_arrive(browser: Browser, desk: Desk) -> None:
    contexts = [browser.new_context(), browser.new_context()]
    pages = [each.new_page() for each in contexts]
    for each in pages:
        each.goto(f"{desk.url}/feedback")
        expect(each.locator("#connection")).to_have_text("live")
    event_id = desk.says("normal", user="seen", comment=HOSTILE)
    for each in pages:
        expect(each.get_by_role("link", name=event_id)).to_be_visible(timeout=15_000)
    for context in contexts:
        context.close()


def test_what_people_write_stays_text_on_every_page_that_shows_it(desk: Desk, page: Page) -> None:
    alarms: list[str] = []
    page.on("dialog", lambda dialog: alarms.append(dialog.message))
    shown = 0
    for path in [*PAGES, f"/feedback/{_hostile_event(desk)}", f"/alerts?letters.q={'x' * 300}"]:
        assert page.goto(desk.url + path), path
        assert page.locator("main img, main script:not([integrity])").count() == 0, path
        found = page.get_by_text("<script>alert(1)</script>")
        shown += found.count()
        for place in found.all():
            assert _isolates(place), f"{path}: a right-to-left override reaches what stands beside it"
    assert shown >= 3
    assert alarms == []


def test_every_page_fits_every_screen_and_is_accessible(desk: Desk, page: Page, check_accessibility: Any) -> None:
    for path in PAGES:
        assert page.goto(desk.url + path), path
        for width in (390, 768, 1440):
            page.set_viewport_size({"width": width, "height": 900})
            check_fits(page)
        check_accessibility(page)


def test_what_is_sorted_and_filtered_stands_in_the_address_and_is_exported(
    desk: Desk, page: Page, context: BrowserContext
) -> None:
    page.goto(f"{desk.url}/feedback")
    region = page.get_by_role("region", name="Latest feedback")
    page.get_by_role("searchbox", name="Filter latest feedback").fill(MODEL)
    page.keyboard.press("Tab")
    expect(region).to_contain_text(desk.says("normal", user="meanwhile"))
    page.get_by_role("button", name="Filter").click()
    expect(page).to_have_url(re.compile(f"stream.q={MODEL}"))
    region.get_by_role("link", name="Kind").click()
    expect(region.get_by_role("columnheader", name="Kind")).to_have_attribute("aria-sort", "ascending")
    other = context.new_page()
    other.goto(page.url)
    expect(other.get_by_role("searchbox", name="Filter latest feedback")).to_have_value(MODEL)
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    rows = list(csv.DictReader(Path(download.value.path()).read_text(encoding="utf-8").splitlines()))
    assert {row["model"] for row in rows} == {MODEL}
    assert [row["kind"] for row in rows] == sorted(row["kind"] for row in rows)


@pytest.mark.parametrize(("version", "shows"), [("2", "Learned from"), ("99", "no version 99")])
def test_who_opens_a_page_while_a_service_hangs_sees_that_it_is_looked_for_and_then_what_was_found(
    desk: Desk, page: Page, running_stack: Any, check_accessibility: Any, version: str, shows: str
) -> None:
    trainer = running_stack.stack.pid("trainer")
    os.kill(trainer, signal.SIGSTOP)
    try:
        page.goto(f"{desk.url}/models/{MODEL}/versions/{version}", wait_until="load")
        expect(page.get_by_role("status").filter(has_text="Looking")).to_be_visible()
        check_accessibility(page)
    finally:
        os.kill(trainer, signal.SIGCONT)
    expect(page.locator("main")).to_contain_text(shows, timeout=30_000)
    expect(page.get_by_role("status").filter(has_text="Looking")).to_have_count(0)
    expect(page.locator("#connection")).to_have_text("live")


def _isolates(place: Locator) -> bool:
    """Whether the text stands in an element that keeps its direction to itself, or in a field of its own."""
    return bool(place.evaluate("node => Boolean(node.closest('bdi, textarea, input'))"))


def _hostile_event(desk: Desk) -> str:
    return desk.says("normal", user="hostile", comment=HOSTILE)


def _broken_letter(desk: Desk) -> dict[str, Any]:
    """Puts a record into the topic that nobody can process; what it would be if it were right."""
    now = datetime.now(UTC).isoformat()
    event = {"event_id": str(uuid.uuid4()), "model": MODEL, "kind": "example", "label": "urgent", "source": "test"}
    event |= {"comment": HOSTILE, "occurred_at": now, "received_at": now}
    right: dict[str, Any] = {**event, "features": {"channel": "mail"}}
    broken = json.dumps({**right, "kind": HOSTILE}, ensure_ascii=False)
    publisher = Publisher(KafkaSettings(bootstrap_servers=desk.env["KAFKA_BOOTSTRAP_SERVERS"]), "/test")
    publisher.send_and_wait(FEEDBACK_EVENTS, right["event_id"].encode(), broken.encode(), [])
    publisher.close()
    return right
