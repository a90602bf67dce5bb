"""The rules of `.importlinter` hold, and each of them catches what it is there for."""

import configparser
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RULES = configparser.ConfigParser()
RULES.read(ROOT / ".importlinter")

FORBIDDEN = [
    ("ingest/adapters/__init__.py", "ingest.wiring"),
    ("ingest/domain/__init__.py", "ingest.application"),
    ("trainer/adapters/__init__.py", "inference.domain"),
    ("lake/__init__.py", "trainer.domain"),
    ("flywheel_cli/output.py", "trainer.wiring"),
    ("flywheel_schemas/__init__.py", "telemetry.logging"),
    ("trainer/domain/__init__.py", "mlflow"),
    ("inference/domain/__init__.py", "time"),
    ("stream_processor/domain/__init__.py", "deltalake"),
    ("ingest/application/__init__.py", "confluent_kafka"),
]


def check(packages: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the rules; packages that lie in the folder come before the checkout's."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(packages)}
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """A copy of every package that the rules speak of."""
    for name in RULES["importlinter"]["root_packages"].split():
        spec = find_spec(name)
        assert spec is not None, f"{name} is in .importlinter and cannot be imported"
        assert spec.submodule_search_locations
        shutil.copytree(spec.submodule_search_locations[0], tmp_path / name)
    return tmp_path


def test_every_rule_is_kept(tmp_path):
    outcome = check(tmp_path)
    assert outcome.returncode == 0, outcome.stdout


def test_each_forbidden_import_is_caught(packages):
    for path, imported in FORBIDDEN:
        module = packages / path
        module.write_text(f"{module.read_text()}\nimport {imported}\n")
    outcome = check(packages)
    assert outcome.returncode != 0
    importers = {path.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for path, _ in FORBIDDEN}
    wanted = {(path.removesuffix(".py").removesuffix("/__init__").replace("/", "."), it) for path, it in FORBIDDEN}
    chains = [
        line.removeprefix("-").split("(")[0].split(" -> ") for line in outcome.stdout.splitlines() if " -> " in line
    ]
    caught = {(chain[0].strip(), chain[-1].strip()) for chain in chains if chain[0].strip() in importers}
    assert wanted - caught == set(), outcome.stdout


def test_a_module_beside_the_seven_names_is_caught(packages):
    (packages / "ingest" / "helpers.py").write_text("")
    outcome = check(packages, "--contract", "inside-a-service")
    assert outcome.returncode != 0
    assert "helpers" in outcome.stdout
