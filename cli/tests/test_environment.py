import pytest

from flywheel_cli.environment import complete, service_url
from flywheel_local import env_file


def test_the_running_stacks_file_fills_what_is_not_set(tmp_path):
    env_file.write(tmp_path / ".flywheel" / "env", {"INGEST_URL": "http://127.0.0.1:9001", "LAKE_URI": "s3://a/b"})
    environment = {"LAKE_URI": "s3://mine/lake"}
    complete(environment, tmp_path)
    assert environment == {"INGEST_URL": "http://127.0.0.1:9001", "LAKE_URI": "s3://mine/lake"}


def test_another_home_is_read_instead(tmp_path):
    env_file.write(tmp_path / "elsewhere" / "env", {"S3_PORT": "1"})
    env_file.write(tmp_path / ".flywheel" / "env", {"S3_PORT": "2"})
    environment = {"FLYWHEEL_HOME": str(tmp_path / "elsewhere")}
    complete(environment, tmp_path)
    assert environment["S3_PORT"] == "1"


def test_without_a_stack_nothing_is_added(tmp_path):
    environment: dict[str, str] = {}
    complete(environment, tmp_path)
    assert environment == {}


@pytest.mark.parametrize(
    ("environment", "url"),
    [
        ({}, "http://127.0.0.1:8003"),
        ({"TRAINER_PORT": "9003"}, "http://127.0.0.1:9003"),
        ({"TRAINER_PORT": "9003", "TRAINER_URL": "https://trainer.example/"}, "https://trainer.example"),
    ],
)
def test_a_services_address_is_its_url_else_its_port_else_the_default(environment, url):
    assert service_url(environment, "TRAINER") == url
