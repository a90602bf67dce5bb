from console.domain.overview import Readiness, ServedModel, Version, overview


def ready(service: str) -> Readiness:
    return Readiness(service, reachable=True, problems={})


def model(champion: str | None, *versions: Version) -> ServedModel:
    return ServedModel("tickets", "binary", champion, versions)


def test_a_loop_that_works_raises_no_alert():
    page = overview((ready("ingest"), ready("inference")), (model("1", Version("1", "champion", 100, True)),))

    assert page.alerts == ()


def test_a_service_that_does_not_answer_is_named_with_its_log():
    page = overview((Readiness("trainer", reachable=False, problems={}),), ())

    assert [alert.subject for alert in page.alerts] == ["trainer"]
    assert ".flywheel/logs/trainer.log" in page.alerts[0].remedy


def test_a_dependency_that_is_down_is_shown_with_what_the_service_says_of_it():
    page = overview((Readiness("ingest", reachable=True, problems={"kafka": "no broker at 127.0.0.1:9092"}),), ())

    assert page.alerts[0].what == "kafka is down"
    assert page.alerts[0].remedy == "no broker at 127.0.0.1:9092"


def test_a_model_without_a_champion_says_how_to_get_one():
    page = overview((), (model(None),))

    assert "flywheel retrain tickets" in page.alerts[0].remedy


def test_a_version_that_should_serve_but_is_not_loaded_is_an_alert():
    page = overview((), (model("2", Version("2", "champion", 100, False), Version("1", "archived", 0, False)),))

    assert [alert.what for alert in page.alerts] == ["version 2 should serve but is not loaded"]


def test_models_stand_in_the_order_of_their_names():
    first, second = ServedModel("a", "binary", "1", ()), ServedModel("b", "binary", "1", ())

    assert overview((), (second, first)).models == (first, second)
