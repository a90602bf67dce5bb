import json
import stat
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated

import pytest
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient
from starlette.datastructures import Headers

from http_api import keys, problems
from http_api.problems import ProblemError


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def path(tmp_path):
    return tmp_path / "keys.json"


def status_of(call) -> int:
    with pytest.raises(ProblemError) as caught:
        call()
    return caught.value.problem.status


def bearer(text: str) -> Headers:
    return Headers({"Authorization": f"Bearer {text}"})


def test_a_key_is_taken_from_either_header(path):
    text, entry = keys.create(path, ["predict", "read"])
    loaded = keys.ApiKeys.load(path)
    for headers in (bearer(text), Headers({"X-API-Key": text}), Headers({"authorization": f"bearer  {text}"})):
        principal = loaded.authenticate(headers)
        assert (principal.key_id, principal.roles) == (entry.id, {"predict", "read"})


def test_the_file_holds_no_secret_and_is_its_owners_alone(path):
    text, _ = keys.create(path, ["predict"], note="tests")
    assert text.split("_", 2)[2] not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_missing_wrong_or_cut_key_is_401_and_says_how_to_send_one(path):
    text, entry = keys.create(path, ["predict"])
    loaded = keys.ApiKeys.load(path)
    wrong = [
        Headers({}),
        bearer(""),
        bearer(text[:-1]),
        bearer(f"fw_{entry.id}_"),
        bearer(f"xx{text[2:]}"),
        bearer("ü"),
    ]
    for headers in wrong:
        assert status_of(lambda headers=headers: loaded.authenticate(headers)) == 401
    with pytest.raises(ProblemError) as caught:
        loaded.authenticate(Headers({}))
    assert caught.value.problem.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_role_that_the_key_lacks_is_403_and_named(path):
    text, _ = keys.create(path, ["predict"])
    principal = keys.ApiKeys.load(path).authenticate(bearer(text))
    principal.require("predict")
    with pytest.raises(ProblemError, match="operate") as caught:
        principal.require("operate")
    assert caught.value.problem.status == 403


def test_a_key_that_was_revoked_is_refused_within_a_second(path):
    text, entry = keys.create(path, ["predict"])
    clock = Clock()
    loaded = keys.ApiKeys(path, clock)
    loaded.authenticate(bearer(text))
    assert keys.revoke(path, entry.id)
    clock.now = 1.0
    assert status_of(lambda: loaded.authenticate(bearer(text))) == 401
    assert not keys.revoke(path, entry.id)


def test_a_key_that_was_made_later_is_taken_within_a_second(path):
    keys.create(path, ["read"])
    clock = Clock()
    loaded = keys.ApiKeys(path, clock)
    text, _ = keys.create(path, ["predict"])
    clock.now = 1.0
    assert loaded.authenticate(bearer(text)).roles == {"predict"}


@pytest.mark.parametrize("breakage", ["{", '{"keys": [{}]}', None])
def test_a_broken_or_vanished_file_leaves_the_last_keys_in_force(path, breakage, capsys):
    text, _ = keys.create(path, ["read"])
    clock = Clock()
    loaded = keys.ApiKeys(path, clock)
    path.unlink() if breakage is None else path.write_text(breakage)
    clock.now = 1.0
    assert loaded.authenticate(bearer(text)).roles == {"read"}
    assert "api_keys_unreadable" in capsys.readouterr().err


def test_without_a_file_anybody_has_every_role_and_the_service_keeps_to_this_machine():
    assert keys.ApiKeys.load(None).authenticate(Headers({})).roles == set(keys.ROLES)
    assert keys.bind_host(None) == "127.0.0.1"


def test_with_a_file_the_service_listens_everywhere(path):
    assert keys.bind_host(path) == "0.0.0.0"


def test_a_file_that_is_named_and_missing_is_an_error_with_its_remedy(path):
    with pytest.raises(keys.KeyFileError, match="flywheel keys create"):
        keys.ApiKeys.load(path)


def test_a_role_that_does_not_exist_is_refused(path):
    with pytest.raises(ValueError, match=r"admin.*operate"):
        keys.create(path, ["admin"])
    assert not path.exists()


def test_keys_made_at_once_are_all_kept(path):
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: keys.create(path, ["read"])[1].id, range(16)))
    assert sorted(entry.id for entry in keys.list(path)) == sorted(made)
    assert sorted(file.name for file in path.parent.iterdir()) == ["keys.json", "keys.json.lock"]
    assert len(json.loads(path.read_text())["keys"]) == 16


def test_a_route_can_ask_for_a_role(path):
    text, _ = keys.create(path, ["read"])
    app = FastAPI()
    app.state.api_keys = keys.ApiKeys.load(path)
    problems.install(app)

    @app.get("/whoami")
    def whoami(principal: Annotated[keys.Principal, Depends(keys.require("read"))]) -> str | None:
        return principal.key_id

    @app.get("/operate", dependencies=[Depends(keys.require("operate"))])
    def operate() -> None: ...

    client = TestClient(app)
    assert client.get("/whoami", headers={"X-API-Key": text}).status_code == 200
    assert client.get("/whoami").status_code == 401
    assert client.get("/operate", headers={"X-API-Key": text}).status_code == 403
