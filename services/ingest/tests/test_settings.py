import os
import subprocess
import sys
from datetime import timedelta

import pytest
from pydantic import ValidationError

from ingest import settings, wiring

KEY = {"FEEDBACK_TOKEN_KEY": "0123456789abcdef"}


@pytest.fixture
def environment(monkeypatch):
    for name in ("API_KEYS_FILE", "MODEL_SPECS_DIR", "CORS_ORIGINS", "INGEST_PORT", "FEEDBACK_TOKEN_KEY"):
        monkeypatch.delenv(name, raising=False)

    def put(**variables: str) -> settings.Settings:
        for name, value in {**KEY, **variables}.items():
            monkeypatch.setenv(name, value)
        return settings.load()

    return put


def test_what_is_not_said_has_usable_defaults(environment):
    own = environment().ingest
    assert (own.port, own.require_token, own.token_max_age) == (8001, False, timedelta(days=90))
    assert own.cors_origins == ()
    assert own.delivery_timeout == timedelta(seconds=5)


def test_origins_are_a_list_with_commas(environment):
    assert environment(CORS_ORIGINS="https://a.example, https://b.example").ingest.cors_origins == (
        "https://a.example",
        "https://b.example",
    )


def test_an_empty_variable_counts_as_not_set(environment):
    assert environment(API_KEYS_FILE="").ingest.api_keys_file is None


def test_the_token_key_is_no_text_that_is_shown(environment):
    assert "0123456789abcdef" not in repr(environment())


@pytest.mark.parametrize(
    "wrong",
    [
        {"FEEDBACK_TOKEN_KEY": "short"},
        {"INGEST_PORT": "99999"},
        {"FEEDBACK_TOKEN_MAX_AGE": "soon"},
        {"FEEDBACK_TOKEN_MAX_AGE": "0s"},
        {"REQUIRE_FEEDBACK_TOKEN": "perhaps"},
    ],
)
def test_a_wrong_value_is_an_error_that_names_the_variable(environment, wrong):
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        environment(**wrong)


def test_a_folder_of_specs_that_does_not_exist_is_an_error(environment, tmp_path):
    with pytest.raises(ValueError, match="MODEL_SPECS_DIR"):
        wiring.build(environment(MODEL_SPECS_DIR=str(tmp_path / "nowhere")))


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({}, "error: FEEDBACK_TOKEN_KEY: Field required"),
        ({**KEY, "LAKE_URI": "lake"}, "error: LAKE_URI: Value error, LAKE_URI is s3://bucket/prefix"),
        ({**KEY, "API_KEYS_FILE": "/nowhere/keys.json"}, "flywheel keys create"),
        ({**KEY, "LOG_LEVEL": "LOUD"}, "choose one of"),
    ],
)
def test_a_service_that_is_told_wrong_things_ends_with_code_2_and_a_line(variables, told):
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), **variables}
    done = subprocess.run(
        [sys.executable, "-m", "ingest"], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr
