"""What an operator does."""

from console.application.ports import NotAllowed

from .conftest import client


def test_an_action_says_what_it_will_do_asks_why_and_is_carried_out(world):
    asked = client(world, follow_redirects=False)
    page = asked.get("/models/tickets/promote?version=2").text
    done = asked.post("/models/tickets/promote", data={"version": "2", "strategy": "canary", "reason": "it is better"})

    assert "Promote version 2 of tickets" in page
    assert done.status_code == 303
    assert world.posted == [
        (
            "/v1/models/tickets/promote",
            {"reason": "it is better", "version": "2", "strategy": "canary"},
            None,
        )
    ]


def test_a_rejected_version_serves_only_where_somebody_says_that_it_should_nevertheless(world):
    asked = client(world, follow_redirects=False)
    asked.post("/models/tickets/promote", data={"version": "2", "strategy": "instant", "reason": "x", "force": "true"})
    asked.post("/models/tickets/promote", data={"version": "2", "strategy": "instant", "reason": "x"})

    assert [body.get("force") for _, body, _ in world.posted] == ["true", None]
    assert 'type="checkbox" name="force"' in asked.get("/models/tickets/promote?version=2").text


def test_a_refused_action_keeps_what_was_written_and_says_why(world):
    world.answers["POST /v1/models/tickets/promote"] = NotAllowed("Version 2 serves already.")
    page = client(world).post("/models/tickets/promote", data={"version": "2", "reason": "again"})

    assert page.status_code == 409
    assert "Version 2 serves already." in page.text
    assert 'value="again"' in page.text


def test_a_dead_letter_that_was_mended_is_sent_again_and_a_broken_one_is_refused(world):
    asked = client(world, follow_redirects=False)
    broken = asked.post("/alerts/letters/1/7", data={"value": "nonsense"})
    mended = asked.post("/alerts/letters/1/7", data={"value": '{"event_id": "e1"}'})

    assert (broken.status_code, mended.status_code) == (409, 303)
    assert "This is no feedback event" in broken.text
    assert world.replayed == [(b'{"event_id": "e1"}', "anonymous")]
