import json

import pytest
from typer.testing import CliRunner

from flywheel_cli.commands.keys import app
from http_api.keys import ApiKeys
from http_api.problems import ProblemError


@pytest.fixture
def keys_file(tmp_path, monkeypatch):
    monkeypatch.setenv("API_KEYS_FILE", str(tmp_path / "keys.json"))
    return tmp_path / "keys.json"


def run(*arguments: str):
    return CliRunner().invoke(app, [*arguments])


def created(*roles: str) -> dict:
    options = [option for role in roles for option in ("--role", role)]
    result = run("create", *options, "--note", "the shop", "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_created_key_lets_in_with_its_roles_and_is_not_kept(keys_file):
    answer = created("predict", "read")
    principal = ApiKeys.load(keys_file).authenticate({"x-api-key": answer["key"]})
    assert principal.roles == {"predict", "read"}
    assert answer["key"].split("_", 2)[2] not in keys_file.read_text()
    assert keys_file.stat().st_mode & 0o777 == 0o600


def test_a_revoked_key_lets_nobody_in(keys_file):
    answer = created("operate")
    assert run("revoke", answer["id"]).exit_code == 0
    with pytest.raises(ProblemError):
        ApiKeys.load(keys_file).authenticate({"x-api-key": answer["key"]})


def test_the_list_shows_who_each_key_is_for_and_no_secret(keys_file):
    answer = created("feedback:write")
    result = run("list")
    assert "the shop" in result.output
    assert answer["id"] in result.output
    assert answer["key"].split("_", 2)[2] not in result.output


def test_a_role_that_does_not_exist_is_refused_with_those_that_do(keys_file):
    result = run("create", "--role", "admin")
    assert result.exit_code == 1
    assert "no such role: admin" in result.stderr
    assert "feedback:write, predict, read, operate" in result.stderr
    assert not keys_file.exists()


def test_revoking_an_unknown_key_says_how_to_find_the_known_ones(keys_file):
    created("read")
    result = run("revoke", "000000000000")
    assert result.exit_code == 1
    assert "flywheel keys list" in result.stderr


def test_without_a_keys_file_the_answer_says_what_that_means(monkeypatch):
    monkeypatch.delenv("API_KEYS_FILE", raising=False)
    result = run("list")
    assert result.exit_code == 1
    assert "API_KEYS_FILE" in result.stderr


def test_a_file_that_is_no_keys_file_is_named(tmp_path):
    broken = tmp_path / "broken.json"
    broken.write_text("{}]")
    result = run("list", "--file", str(broken))
    assert result.exit_code == 1
    assert str(broken) in result.stderr
