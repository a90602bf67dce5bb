"""Chromium, driven by Playwright, and a web server for pages of a test's own."""

import functools
import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.debian import CHROMIUM

# The machine may do much else; a test waits no longer than it must.
_PATIENCE_MS = 30_000
expect.set_options(timeout=_PATIENCE_MS)
_TOO_WIDE = """[...document.querySelectorAll("html, figure")].filter(each => each.scrollWidth > each.clientWidth + 1)
    .map(each => each.textContent.trim().slice(0, 40))"""
# What a scheme can break; all other rules see the same page in both.
_COLOURS = {"runOnly": ["color-contrast", "link-in-text-block"]}


def check_fits(page: Page) -> None:
    """Raises AssertionError where the page, or a figure in it, is wider than its place."""
    assert page.evaluate(_TOO_WIDE) == [], f"{page.url} at {page.evaluate('innerWidth')} px"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Ends with its module: while Playwright runs, no test of this process can have an event loop of its own."""
    path = CHROMIUM.executable()
    if path is None:
        pytest.skip(CHROMIUM.how)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser of one person; ends with the test."""
    opened = browser.new_context(reduced_motion="reduce")
    opened.set_default_timeout(_PATIENCE_MS)
    yield opened
    opened.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


@pytest.fixture(scope="session")
def check_accessibility() -> Callable[[Page], None]:
    """Fails with what axe finds wrong, in light and in dark."""
    axe = Axe()

    def check(page: Page) -> None:
        schemes: tuple[tuple[Literal["light", "dark"], Any], ...] = (("light", None), ("dark", _COLOURS))
        for scheme, options in schemes:
            page.emulate_media(color_scheme=scheme)
            page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(null))))")
            found = axe.run(page, options=options)
            wrong = [(each["id"], [node["target"] for node in each["nodes"]]) for each in found.response["violations"]]
            assert wrong == [], f"{page.url} in {scheme}: {wrong}"
        page.emulate_media(color_scheme="light")

    return check


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        return


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """An application's own origin, and the folder that it serves."""
    folder = tmp_path_factory.mktemp("site")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", folder
    server.shutdown()
