"""bench.console.*: the console in Chromium, with fifty models, two hundred versions and a million rows behind it."""

import statistics
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from benchmarks import crowded
from benchmarks.results import Row
from tests.debian import CHROMIUM
from tests.waiting import until

_VISITS, _PAINT_MS, _KILOBYTES = 5, 1000.0, 300.0
_LOOKING = "main [hx-trigger=load]"
PAGES: Mapping[str, str] = {
    "overview": "/",
    "try": f"/try?model={crowded.BUSIEST}",
    "models": "/models",
    "model": f"/models/{crowded.BUSIEST}",
    "version": f"/models/{crowded.BUSIEST}/versions/1",
    "rollouts": f"/rollouts?model={crowded.BUSIEST}",
    "datasets": f"/datasets?model={crowded.BUSIEST}",
    "feedback": "/feedback",
    "drift": f"/drift?model={crowded.BUSIEST}",
    "alerts": "/alerts",
}


@dataclass(frozen=True, slots=True)
class Visit:
    """One visit by a browser that was never here: milliseconds to the first contentful paint and until what was asked
    for is there (the same, where the page came with it), bytes that travelled.
    """

    painted_ms: float
    found_ms: float
    kilobytes: float


def run(env: Mapping[str, str]) -> list[Row]:
    """A row per page, and one for the weight of the overview; about six minutes, most of them for building it."""
    path = CHROMIUM.executable()
    if path is None:
        raise RuntimeError(CHROMIUM.how)
    with tempfile.TemporaryDirectory(prefix="flywheel-console-") as home:
        stack = crowded.build(env, Path(home))
        try:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
                return measure(browser, stack.env["CONSOLE_URL"])
        finally:
            stack.stop()


def measure(browser: Browser, console: str) -> list[Row]:
    """The rows of a console that runs."""
    seen = {name: [visit(browser, console + path) for _ in range(_VISITS)] for name, path in PAGES.items()}
    rows = [_shown(name, visits) for name, visits in seen.items()]
    weight = statistics.median(each.kilobytes for each in seen["overview"])
    note = "everything that a first visit transfers"
    ratio = round(weight / _KILOBYTES, 2)
    return [*rows, Row("bench.console.overview.weight", round(weight, 1), "kB", _KILOBYTES, ratio, _VISITS, note)]


def visit(browser: Browser, address: str) -> Visit:
    """Opens the address in a fresh context. Raises RuntimeError where the page says that something is wrong."""
    context = browser.new_context()
    try:
        page = context.new_page()
        session = context.new_cdp_session(page)
        session.send("Network.enable")
        sizes: list[float] = []
        session.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
        answer = page.goto(address, wait_until="load", timeout=60_000)
        if answer is None or not answer.ok:
            raise RuntimeError(f"{address}: {page.inner_text('main')}")
        until(lambda: page.evaluate("performance.getEntriesByName('first-contentful-paint').length"), 30, "a paint")
        page.locator(_LOOKING).wait_for(state="detached", timeout=60_000)
        arrived = page.evaluate("performance.now()")
        painted = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
        found = arrived if 'hx-trigger="load"' in answer.text() else painted
        weighed = page.evaluate("performance.getEntriesByType('navigation')[0].transferSize")
        # The stream of live updates never ends, so the page itself may still count as loading.
        return Visit(float(painted), float(found), (sum(sizes) or float(weighed)) / 1000)
    finally:
        context.close()


def _shown(name: str, visits: list[Visit]) -> Row:
    """The time until the content is there: a page that says it is still looking does not count."""
    found, painted = [each.found_ms for each in visits], [each.painted_ms for each in visits]
    typical = statistics.median(found)
    note = (
        f"from the click until its content is there; the first {found[0]:.0f} ms, the slowest {max(found):.0f} ms;"
        f" first contentful paint {statistics.median(painted):.0f} ms, the slowest {max(painted):.0f} ms"
    )
    return Row(
        f"bench.console.{name}", round(typical, 1), "ms", _PAINT_MS, round(typical / _PAINT_MS, 2), len(visits), note
    )
