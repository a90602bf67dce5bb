from flywheel_cli.checks import disk, mlflow, service


def test_a_ready_service_is_ok(answering):
    (finding,) = service("trainer", {"TRAINER_URL": answering(200, {"status": "ok", "checks": {"kafka": "ok"}})})
    assert (finding.name, finding.state) == ("trainer", "ok")


def test_a_service_that_waits_names_what_it_waits_for_and_leaves_out_what_is_well(answering):
    checks = {"kafka": "no broker at 127.0.0.1:1", "lake": "ok"}
    (finding,) = service("ingest", {"INGEST_URL": answering(503, {"status": "unavailable", "checks": checks})})
    assert finding.state == "wrong"
    assert "kafka: no broker at 127.0.0.1:1" in finding.detail
    assert "lake" not in finding.detail


def test_something_else_on_the_port_is_wrong_and_shown(answering):
    (finding,) = service("console", {"CONSOLE_URL": answering(404, ["not found"])})
    assert finding.state == "wrong"
    assert "not found" in finding.detail


def test_a_service_that_is_away_names_the_variable_that_moves_it():
    (finding,) = service("stream-processor", {"PROCESSOR_PORT": "9"})
    assert finding.state == "wrong"
    assert "PROCESSOR_PORT" in finding.remedy
    assert "make up" in finding.remedy


def test_a_registry_that_is_away_names_its_variable():
    (finding,) = mlflow({"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"})
    assert finding.state == "wrong"
    assert "MLFLOW_TRACKING_URI" in finding.remedy


def test_the_room_is_measured_where_the_data_will_lie_even_before_it_exists(tmp_path):
    (finding,) = disk({"FLYWHEEL_HOME": str(tmp_path / "not" / "yet")})
    assert str(tmp_path) in finding.detail
