"""The pages of a dataset, of quarantine and of erasures."""

from .conftest import HELD, client


def test_a_rollback_of_a_dataset_says_before_what_it_would_change(world):
    page = client(world).get("/datasets/tickets/rollback?version=1").text

    assert "12,345" in page
    assert world.posted == []


def test_what_was_erased_is_listed_in_quarantine_without_a_decision_to_take(world):
    world.answers["/v1/models/tickets/quarantine?limit=200"]["events"] = [HELD | {"reason": "erased", "decision": None}]
    exported = client(world).get("/datasets?csv=quarantine").text.splitlines()[1]

    assert exported == "e1,erased,erased,2026-11-24T12:00:00+00:00,,,,,"


def test_an_erasure_wants_the_user_named_twice_and_leads_to_its_record(world):
    asked = client(world, follow_redirects=False)
    unsure = asked.post("/erasures/new", data={"user_id": "ada/1", "again": "adam"})
    done = asked.post("/erasures/new", data={"user_id": "ada/1", "again": "ada/1"})

    assert (unsure.status_code, done.status_code, done.headers["location"]) == (422, 303, "/erasures/x1")
    assert world.posted == [("DELETE /v1/users/ada%2F1/feedback", {}, None)]


def test_the_record_of_an_erasure_lists_the_models_that_had_learned(world):
    page = client(world).get("/erasures/x1").text

    assert "had learned from it" in page
    assert "1, 2" in page
    assert client(world).get("/erasures/x2").status_code == 404
