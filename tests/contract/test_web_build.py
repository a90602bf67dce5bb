"""What browsers load is built, committed, small, and no older than its sources."""

import gzip
import hashlib
import json
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WEB = ROOT / "web"
BUILT = ROOT / "services/ingest/src/ingest/entrypoints/assets/feedback/v1"
MANIFEST = json.loads((BUILT / "manifest.json").read_text())

needs_node = pytest.mark.skipif(
    not (WEB / "node_modules/.installed").exists(),
    reason="web/node_modules is missing; install Node 20 or newer, then run `make web`",
)


def test_the_component_was_built_from_its_sources_as_they_are():
    digest = hashlib.sha256()
    for path in sorted((WEB / "feedback/src").iterdir()):
        digest.update(f"{path.name}\n".encode() + path.read_bytes())

    assert digest.hexdigest() == MANIFEST["sources"], "the sources changed: run `make web` and commit what it built"


def test_the_component_is_under_ten_kilobytes_as_it_travels():
    assert len(gzip.compress((BUILT / MANIFEST["file"]).read_bytes())) < 10_000


def test_the_lock_file_names_no_place_to_download_from():
    assert "://" not in (WEB / "package-lock.json").read_text().replace("https://opencollective.com", "")


@needs_node
def test_building_again_gives_the_same_bytes_and_types_hold():
    _npm("check")


@needs_node
def test_its_own_tests_pass():
    assert "# fail 0" in _npm("test")


def _npm(script: str) -> str:
    done = subprocess.run(
        ["npm", "run", "--silent", script], cwd=WEB, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
