from flywheel_local import env_file
from flywheel_local.configuration import Configuration, from_shell, inherited
from flywheel_local.ports import Ports


def test_what_was_given_is_not_run_and_what_was_not_is(tmp_path):
    given = {"KAFKA_BOOTSTRAP_SERVERS": "kafka.example:9092"}
    configuration = Configuration(tmp_path, Ports(), given)
    assert configuration.embedded == {"s3", "mlflow"}
    assert configuration.environment()["KAFKA_BOOTSTRAP_SERVERS"] == "kafka.example:9092"


def test_secrets_are_made_once_and_for_the_owner_only(tmp_path):
    first = Configuration(tmp_path, Ports()).secrets()
    assert Configuration(tmp_path, Ports()).secrets() == first
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o600
    assert Configuration(tmp_path / "other", Ports()).secrets() != first


def test_keys_of_somebody_elses_s3_are_never_invented(tmp_path):
    given = {"S3_ENDPOINT_URL": "https://s3.example", "AWS_ACCESS_KEY_ID": "theirs", "AWS_SECRET_ACCESS_KEY": "theirs"}
    environment = Configuration(tmp_path, Ports(), given).environment()
    assert environment["AWS_SECRET_ACCESS_KEY"] == "theirs"
    assert environment["MLFLOW_S3_ENDPOINT_URL"] == environment["AWS_ENDPOINT_URL"] == "https://s3.example"


def test_a_shell_that_sourced_the_running_stacks_environment_still_means_the_running_stack(tmp_path):
    configuration = Configuration(tmp_path, Ports(kafka_port=19_092))
    env_file.write(configuration.env_path, configuration.environment())
    again = from_shell(tmp_path, configuration.environment(), alive=True)
    assert again.embedded == {"kafka", "s3", "mlflow"}
    assert again.environment() == configuration.environment()


def test_another_kafka_in_the_shell_is_used(tmp_path):
    configuration = Configuration(tmp_path, Ports())
    env_file.write(configuration.env_path, configuration.environment())
    other = from_shell(tmp_path, {"KAFKA_BOOTSTRAP_SERVERS": "elsewhere:9092"}, alive=False)
    assert other.embedded == {"s3", "mlflow"}


def test_a_running_stack_keeps_its_ports_and_a_stopped_one_goes_back_to_the_defaults(tmp_path):
    env_file.write(tmp_path / "env", {"S3_PORT": "18333"})
    assert from_shell(tmp_path, {}, alive=True).ports.s3_port == 18_333
    assert from_shell(tmp_path, {}, alive=False).ports.s3_port == Ports().s3_port


def test_cloud_keys_in_the_shell_do_not_become_the_keys_of_the_embedded_s3(tmp_path):
    configuration = from_shell(tmp_path, {"AWS_ACCESS_KEY_ID": "mine", "AWS_SECRET_ACCESS_KEY": "mine"}, alive=False)
    assert configuration.environment()["AWS_SECRET_ACCESS_KEY"] != "mine"


def test_inner_ports_stay_the_same_while_they_are_free_and_never_meet_another_servers(tmp_path):
    configuration = Configuration(tmp_path, Ports())
    kafka, s3 = configuration.inner_ports("kafka", 1), configuration.inner_ports("s3", 5)
    assert configuration.inner_ports("kafka", 1) == kafka
    assert configuration.inner_ports("s3", 5) == s3
    assert not set(kafka) & set(s3)


def test_processes_inherit_the_shell_but_nothing_that_the_stack_decides():
    shell = {
        "PATH": "/bin",
        "AWS_PROFILE": "work",
        "KAFKA_PARTITIONS": "9",
        "AWS_CA_BUNDLE": "/ca",
        "LOG_LEVEL": "DEBUG",
    }
    assert inherited(shell) == {"PATH": "/bin", "AWS_CA_BUNDLE": "/ca", "LOG_LEVEL": "DEBUG"}


def test_a_relative_keys_file_means_the_folder_of_the_shell(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    configuration = from_shell(tmp_path / "home", {"API_KEYS_FILE": "keys.json"}, alive=False)
    assert configuration.environment()["API_KEYS_FILE"] == str(tmp_path / "keys.json")
