"""The tutorial as a stranger follows it: its commands as they stand, and its clicks."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from playwright.sync_api import Page, expect

ROOT = Path(__file__).parents[1]
MODEL = "tickets"
_TEXT = (ROOT / "docs/tutorial.md").read_text(encoding="utf-8")
_BLOCK = re.compile(r"^```bash\n(.*?)^```", re.M | re.S)
BEFORE, OTHERS = (_BLOCK.findall(part) for part in _TEXT.split("## The same")[0].split("## 5."))
AFTER = _BLOCK.findall(_TEXT.split("## The same")[1])


def run(block: str, env: Mapping[str, str]) -> str:
    """What the commands print. Raises AssertionError with it where one of them fails."""
    command = ["bash", "-euo", "pipefail", "-c", block]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, f"the tutorial's command failed:\n{block}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def ask(page: Page, console: str) -> None:
    """Step 5."""
    page.goto(f"{console}/try?model={MODEL}")
    page.get_by_label("words").fill("30")
    page.get_by_role("button", name="Ask").click()
    expect(page.get_by_text("No, it was wrong")).to_be_visible(timeout=30_000)


def correct(page: Page) -> None:
    """Step 6."""
    page.get_by_text("No, it was wrong").click()
    page.get_by_role("group", name="What would have been right?").locator("label").first.click()
    page.get_by_role("button", name="Send feedback").click()
    expect(page.locator("#fate .done", has_text="In the dataset")).to_be_visible(timeout=60_000)


def retrain(page: Page, console: str) -> None:
    """Step 8."""
    page.goto(f"{console}/models/{MODEL}")
    page.get_by_role("link", name="Retrain…").click()
    page.get_by_label("Why (kept in the log)").fill("short messages are urgent now")
    page.get_by_role("button", name=f"Retrain {MODEL}").click()
    expect(page.get_by_role("status").filter(has_text="Done")).to_be_visible(timeout=30_000)


def taught(page: Page) -> None:
    """Step 9."""
    expect(page.locator("flywheel-feedback")).to_contain_text(
        "Your feedback taught version 2, which answers now.", timeout=180_000
    )
    expect(page.locator("#fate .done", has_text="Serving")).to_be_visible(timeout=30_000)
