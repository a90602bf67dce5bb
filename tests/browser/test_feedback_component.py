"""<flywheel-feedback> in a page of another origin, before a real ingest."""

import json
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, Request, expect

from flywheel_schemas.tokens import FeedbackToken
from flywheel_schemas.topics import FEEDBACK_EVENTS
from kafka_runtime import tail
from kafka_runtime.settings import KafkaSettings
from tests.browsing import check_fits
from tests.ingest_process import Ingest, running

HOSTILE = "<img src=x onerror=alert(1)> \u202eevil\u202c " + "x" * 300 + " 🧨"


@dataclass
class Application:
    """A page that shows one prediction with the component beside it."""

    ingest: Ingest
    url: str
    folder: Path

    def show(self, page: Page, **attributes: str) -> str:
        """Opens the page on a new prediction; gives the prediction's id."""
        prediction = str(uuid.uuid4())
        token = self.ingest.tokens.sign(
            FeedbackToken(prediction, "flights", "3", "champion", "late", False, int(datetime.now(UTC).timestamp()))
        )
        given = " ".join(f"{name}='{value}'" for name, value in {"token": token, **attributes}.items())
        manifest = self.ingest.client.get("/assets/feedback/v1/manifest.json").json()
        address = f"{self.ingest.client.base_url}".rstrip("/")
        # The page's ground is told, since axe takes one that is left to the browser for white, in dark too.
        (self.folder / "page.css").write_text("html { background: Canvas; color: CanvasText }")
        (self.folder / "index.html").write_text(
            f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>Flights</title>
            <meta http-equiv="Content-Security-Policy" content="script-src {address}; style-src 'self'">
            <meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
            <link rel="stylesheet" href="page.css">
            <script type="module" src="{address}{manifest["path"]}" integrity="{manifest["integrity"]}" crossorigin>
            </script><main><h1>UA 17 will be late</h1><flywheel-feedback {given}></flywheel-feedback></main>"""
        )
        page.goto(f"{self.url}/index.html")
        page.bring_to_front()  # a page in the background has no focus to give
        return prediction


@pytest.fixture(scope="module")
def ingest(stack: Any, site: tuple[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ingest]:
    env = {**stack.env, "LAKE_URI": f"s3://flywheel/test-{uuid.uuid4().hex}", "CORS_ORIGINS": site[0]}
    with running(env, tmp_path_factory.mktemp("ingest")) as service:
        yield service


@pytest.fixture
def application(ingest: Ingest, site: tuple[str, Path]) -> Application:
    return Application(ingest, *site)


def sent_by(page: Page) -> list[dict[str, Any]]:
    """The events that the page posts, as they leave it."""
    events: list[dict[str, Any]] = []

    def keep(request: Request) -> None:
        if request.method == "POST":
            events.append(json.loads(request.post_data or ""))

    page.on("request", keep)
    return events


def arrived(page: Page, sent: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What was sent, once this process has heard of it."""
    for _ in range(250):
        if sent:
            break
        page.wait_for_timeout(20)
    return sent


def test_a_correction_made_with_the_keyboard_alone_reaches_kafka(page: Page, application: Application, stack: Any):
    sent = sent_by(page)
    prediction = application.show(page)
    page.get_by_role("radio", name="No, it was wrong").focus()
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.get_by_label("Anything to add?").fill(HOSTILE)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Thank you. Your feedback may improve the model.")
    expect(page.get_by_role("status")).to_be_focused()

    (event,) = arrived(page, sent)
    stored = _in_kafka(stack, event["event_id"])
    assert stored["label"] == "on_time"
    assert stored["prediction_id"] == prediction
    assert stored["comment"] == HOSTILE
    assert (stored["model_version"], stored["predicted"]) == ("3", "late")
    assert (stored["kind"], stored["rating"]) == ("correction", 1)


def test_right_with_stars_is_one_confirmation(page: Page, application: Application):
    sent = sent_by(page)
    application.show(page, source="shop", **{"user-id": "ada"})
    page.get_by_text("Yes, it was right").click()
    expect(page.get_by_text("What would have been right?")).to_be_hidden()
    page.get_by_role("radio", name="4 of 5 stars").check(force=True)
    page.get_by_role("button", name="Send feedback").click()
    expect(page.get_by_role("status")).to_contain_text("Thank you.")

    (event,) = arrived(page, sent)
    assert (event["kind"], event["rating"], event["source"], event["user_id"]) == ("confirmation", 4, "shop", "ada")
    assert "label" not in event


def test_what_says_nothing_is_not_sent_and_the_form_says_what_is_missing(page: Page, application: Application):
    sent = sent_by(page)
    application.show(page)
    page.get_by_text("No, it was wrong").click()
    page.get_by_role("button", name="Send feedback").click()

    expect(page.get_by_role("alert")).to_have_text("Say what would have been right, or give stars.")
    assert sent == []


def test_feedback_given_offline_survives_the_page_and_is_sent_under_its_one_id(
    page: Page, context: BrowserContext, application: Application, stack: Any
):
    sent = sent_by(page)
    application.show(page)
    page.get_by_text("Yes, it was right").click()
    context.set_offline(True)
    page.get_by_role("button", name="Send feedback").click()
    expect(page.get_by_role("status")).to_contain_text("kept on this device")
    page.close()

    context.set_offline(False)
    again = context.new_page()
    resent = sent_by(again)
    again.route("**/label", lambda _: None)  # never answered: what became of feedback shows without asking for choices
    again.goto(f"{application.url}/index.html")
    expect(again.get_by_role("status")).to_contain_text("Thank you. Your feedback may improve the model.")
    assert {event["event_id"] for event in sent + resent} == {resent[0]["event_id"]}
    assert _in_kafka(stack, resent[0]["event_id"])["kind"] == "confirmation"


def test_the_connection_coming_back_sends_without_a_reload(
    page: Page, context: BrowserContext, application: Application
):
    application.show(page)
    page.get_by_text("Yes, it was right").click()
    context.set_offline(True)
    page.get_by_role("button", name="Send feedback").click()
    expect(page.get_by_role("status")).to_contain_text("kept on this device")
    context.set_offline(False)

    expect(page.get_by_role("status")).to_contain_text("Thank you. Your feedback may improve the model.")


def test_a_refusal_tells_the_person_why(page: Page, application: Application):
    application.show(page, choices='["late", "tardy"]')
    page.get_by_text("No, it was wrong").click()
    page.get_by_text("tardy").click()
    page.get_by_role("button", name="Send feedback").click()

    expect(page.get_by_role("status")).to_contain_text(
        "'tardy' is not a value of late; allowed, as text: on_time, late"
    )


def test_words_and_names_are_the_applications_own(page: Page, application: Application):
    application.show(page, choices='{"on_time": "Pünktlich", "late": "Verspätet"}', parts="thumbs label")
    page.locator("flywheel-feedback").evaluate(
        "element => element.texts = { question: 'Stimmte „{answer}“?', wrong: 'Nein', right: 'Ja', send: 'Senden' }"
    )
    expect(page.get_by_role("group", name="Stimmte „Verspätet“?")).to_be_visible()
    page.get_by_text("Nein").click()
    expect(page.get_by_role("radio", name="Pünktlich")).to_be_attached()
    expect(page.get_by_role("textbox")).to_have_count(0)


def test_it_is_accessible_in_light_and_dark_before_and_after(
    page: Page, application: Application, check_accessibility: Callable[[Page], None]
):
    page.set_viewport_size({"width": 390, "height": 800})
    application.show(page)
    page.get_by_text("No, it was wrong").click()
    check_accessibility(page)
    check_fits(page)
    page.get_by_text("on_time").click()
    page.get_by_role("button", name="Send feedback").click()
    expect(page.get_by_role("status")).to_contain_text("Thank you.")
    check_accessibility(page)


def test_a_wrong_token_is_said_instead_of_a_form_that_leads_nowhere(page: Page, application: Application):
    application.show(page, token="forged")

    expect(page.get_by_role("status")).to_have_text(re.compile("token is missing"))


def _in_kafka(stack: Any, event_id: str) -> dict[str, Any]:
    """The event, however often it was sent: its one id makes it count once, and an answer can come too late."""
    settings = KafkaSettings(bootstrap_servers=stack.kafka)
    found = [
        record
        for partition in tail.end_offsets(settings, FEEDBACK_EVENTS)
        for record in tail.last(settings, FEEDBACK_EVENTS, partition, 1000)
        if record.key.decode() == event_id
    ]
    stored: list[dict[str, Any]] = [json.loads(record.value or b"{}") for record in found]
    said = [{**each, "received_at": None} for each in stored]
    assert said == [said[0]] * len(said)
    return stored[0]
