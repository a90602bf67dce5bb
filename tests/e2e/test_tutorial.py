"""The tutorial, done as it stands: its commands in a shell, its clicks in Chromium."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests import story


@pytest.mark.timeout(600)  # it starts a stack and trains twice, perhaps on a machine that does much else
def test_a_stranger_teaches_a_model_and_sees_the_version_that_learned(running_stack: Any, page: Page) -> None:
    env, console = running_stack.command_env, running_stack.stack.env["CONSOLE_URL"]
    for block in story.BEFORE:
        story.run(block, env)
    story.ask(page, console)
    story.correct(page)
    for block in story.OTHERS:
        story.run(block, env)
    other = page.context.new_page()
    story.retrain(other, console)
    story.taught(page)
    other.goto(f"{console}/models/{story.MODEL}?versions.q=champion")
    expect(other.get_by_role("region", name="What serves")).to_contain_text(re.compile("2.*champion", re.S))

    said = "".join(story.run(block, env) for block in story.AFTER)
    for word in ("feedback_token", "stored", "champion"):
        assert word in said
