"""The tutorial's commands, run as they stand."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"^```bash\n(.*?)^```", (ROOT / "docs/tutorial.md").read_text(encoding="utf-8"), re.M | re.S)


@pytest.mark.timeout(600)  # it starts a stack and trains twice, perhaps on a machine that does much else
def test_the_tutorial_takes_a_csv_to_a_served_learning_model(running_stack):
    said = ""
    for block in BLOCKS:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block],
            cwd=ROOT,
            env=running_stack.command_env,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        said += done.stdout
        if done.returncode:
            pytest.fail(f"the tutorial's command failed:\n{block}\n{done.stdout}\n{done.stderr}")
    for word in ("feedback_token", "stored", "champion"):
        assert word in said
