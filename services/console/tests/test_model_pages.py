"""The pages of a model and of its versions."""

from .conftest import client


def test_a_version_shows_each_gate_with_its_figures(world):
    exported = client(world).get("/models/tickets/versions/2?csv=gates").text

    assert "gain 0.0123" in exported
    assert "compatibility,failed,words is gone,broken none" in exported


def test_two_versions_stand_side_by_side_with_what_audits_say_of_them(world):
    exported = client(world).get("/models/tickets?beside=1&csv=beside").text.splitlines()

    assert "live accuracy,0.800 (0.750 to 0.850)," in exported
    assert 'rows learned from,"2,000 base, 60 feedback","2,000 base, 60 feedback"' in exported
    assert "gates passed,1 of 2,1 of 2" in exported


def test_quality_by_version_is_drawn_with_its_interval_and_audited_count(world):
    assert "2 (321 audited): 0.8" in client(world).get("/models/tickets").text
