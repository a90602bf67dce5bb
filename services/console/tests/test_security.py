"""Who may read and act, and from where."""

import pytest

from http_api import keys

from .conftest import client


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"host": "evil.example"},
    ],
)
def test_another_sites_page_cannot_act(world, headers):
    refused = client(world).post("/models/tickets/rollback", data={"reason": "x"}, headers=headers)

    assert refused.status_code == 403
    assert world.posted == []


def test_without_keys_another_name_for_this_machine_cannot_read(world):
    assert client(world).get("/", headers={"host": "evil.example"}).status_code == 403
    assert client(world).get("/", headers={"host": "127.0.0.1:8000"}).status_code == 200


def test_where_keys_are_in_use_a_browser_is_asked_for_one(world, tmp_path):
    file = tmp_path / "keys.json"
    secret, _ = keys.create(file, ["read"])
    asked = client(world, file).get("/")

    assert asked.status_code == 401
    assert asked.headers["www-authenticate"].startswith("Basic")
    assert client(world, file).get("/", auth=("anyone", secret)).status_code == 200


def test_reading_needs_read_acting_needs_operate_and_goes_under_the_persons_own_key(world, tmp_path):
    file = tmp_path / "keys.json"
    predict, _ = keys.create(file, ["predict"])
    read, _ = keys.create(file, ["read"])
    operate, operate_id = keys.create(file, ["read", "operate"])
    asked = client(world, file, follow_redirects=False)

    assert asked.get("/", auth=("a", predict)).status_code == 403
    assert "needs the role operate" in asked.get("/models/tickets/rollback", auth=("a", read)).text
    assert asked.post("/models/tickets/rollback", auth=("a", read), data={"reason": "x"}).status_code == 403
    assert asked.post("/alerts/replay", auth=("a", read)).status_code == 403
    assert asked.post("/models/tickets/rollback", auth=("a", operate), data={"reason": "x"}).status_code == 303
    assert [key for _, _, key in world.posted] == [operate]
    asked.post("/alerts/letters/1/7", auth=("a", operate), data={"value": '{"event_id": "e1"}'})
    assert [who for _, who in world.replayed] == [operate_id.id]
