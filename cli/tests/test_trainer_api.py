import pytest
import typer

from flywheel_cli.trainer_api import Service

AWAY = (503, {"detail": "not now"})


def test_who_waits_anyway_asks_a_service_again_that_cannot_answer_at_the_moment(answering, monkeypatch):
    monkeypatch.setenv("TRAINER_URL", answering(200, {"here": True}, before=AWAY, times=3))
    assert Service("TRAINER").get("/", patience_s=60) == {"here": True}


def test_who_does_not_wait_is_told_at_once(answering, monkeypatch, capsys):
    monkeypatch.setenv("TRAINER_URL", answering(200, {"here": True}, before=AWAY, times=1))
    with pytest.raises(typer.Exit):
        Service("TRAINER").get("/")
    assert "not now" in capsys.readouterr().err


def test_patience_ends(answering, monkeypatch):
    monkeypatch.setenv("TRAINER_URL", answering(*AWAY))
    with pytest.raises(typer.Exit):
        Service("TRAINER").get("/", patience_s=0.05)
