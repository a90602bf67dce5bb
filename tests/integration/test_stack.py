"""The stack on real processes: what starts, what restarts, what survives and what is left."""

import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Consumer, Producer

from flywheel_local import env_file
from flywheel_local.errors import PortTaken, SettingsDiffer
from flywheel_local.ports import Ports
from flywheel_local.processes import MARK, Processes
from flywheel_local.stack import Stack
from tests.http import http

SERVERS = ("kafka", "s3", "mlflow")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("own")).while_in_use() as own:
        own.start_servers()
        yield own


def pids(stack: Stack) -> dict[str, int | None]:
    return {name: stack.pid(name) for name in SERVERS}


def produce(stack: Stack, word: str) -> None:
    producer = Producer({"bootstrap.servers": stack.env["KAFKA_BOOTSTRAP_SERVERS"], "acks": "all"})
    producer.produce("model-updated", key=word, value=word)
    assert producer.flush(30) == 0


def words(stack: Stack) -> set[str]:
    """Every key in the topic, up to its end."""
    group = {"group.id": uuid.uuid4().hex, "auto.offset.reset": "earliest", "enable.partition.eof": True}
    consumer = Consumer({"bootstrap.servers": stack.env["KAFKA_BOOTSTRAP_SERVERS"], **group})
    consumer.subscribe(["model-updated"])
    found, ends = set(), 0
    while ends < 3:
        message = consumer.poll(30)
        assert message is not None, "the broker stopped answering"
        ends += message.error() is not None
        if message.error() is None:
            found.add(message.key().decode())
    consumer.close()
    return found


def test_each_pid_file_names_the_process_that_listens(running):
    listeners = {c.laddr.port: c.pid for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN}
    ports = {"kafka": "KAFKA_PORT", "s3": "S3_PORT", "mlflow": "MLFLOW_PORT"}
    assert pids(running) == {name: listeners[int(running.env[port])] for name, port in ports.items()}


def test_everything_listens_on_loopback_only(running):
    ours = {process.pid for process in Processes(running.home).everyone()}
    listening = [c for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN and c.pid in ours]
    assert {c.laddr.ip.removeprefix("::ffff:") for c in listening} == {"127.0.0.1"}


def test_starting_again_changes_nothing(running):
    before = pids(running)
    running.start_servers()
    assert pids(running) == before


@pytest.mark.parametrize("name", SERVERS)
def test_only_the_one_that_died_is_started_again(running, name):
    before = pids(running)
    running.kill(name)
    assert running.pid(name) is None
    running.start_servers()
    after = pids(running)
    assert {other: pid for other, pid in after.items() if other != name} == {
        other: pid for other, pid in before.items() if other != name
    }
    assert after[name] not in (None, before[name])


def test_other_settings_than_the_running_ones_are_refused_and_named(running):
    other = Stack(running.home, Ports.free())
    with pytest.raises(SettingsDiffer, match=r"KAFKA_PORT.*make down"):
        other.start_servers()


def test_a_second_stack_starts_beside_the_first(running, tmp_path):
    with Stack(tmp_path, given={"MLFLOW_TRACKING_URI": running.env["MLFLOW_TRACKING_URI"]}).while_in_use() as second:
        second.start_servers()
        assert None not in (second.pid("kafka"), second.pid("s3"), *pids(running).values())
        produce(second, "second")
        assert "second" not in words(running)
    assert None not in pids(running).values()


def test_what_was_stored_survives_a_stop_and_a_start(running):
    produce(running, "before")
    created = http.post(
        f"{running.env['MLFLOW_TRACKING_URI']}/api/2.0/mlflow/registered-models/create", json={"name": "kept"}
    )
    assert created.status_code == 200
    secrets = running.env["FEEDBACK_TOKEN_KEY"], running.env["AWS_SECRET_ACCESS_KEY"]
    running.stop()
    assert Processes(running.home).everyone() == []
    again = Stack(running.home, Ports.from_environment(running.env))
    again.stop_with_parent()
    again.start_servers()
    assert "before" in words(again)
    found = http.get(
        f"{again.env['MLFLOW_TRACKING_URI']}/api/2.0/mlflow/registered-models/get", params={"name": "kept"}
    )
    assert found.status_code == 200
    assert (again.env["FEEDBACK_TOKEN_KEY"], again.env["AWS_SECRET_ACCESS_KEY"]) == secrets


def test_a_taken_port_is_named_with_its_holder_and_nothing_is_started(tmp_path):
    ports = Ports.free()
    with socket.create_server(("127.0.0.1", ports.s3_port)), pytest.raises(PortTaken) as refusal:
        Stack(tmp_path, ports).start()
    assert f"Port {ports.s3_port} is taken by" in str(refusal.value)
    assert f"(process {os.getpid()})" in str(refusal.value)
    assert "S3_PORT=" in str(refusal.value)
    assert Processes(tmp_path).everyone() == []


def test_a_process_killed_beyond_clean_up_takes_its_stack_with_it(tmp_path):
    script = (
        "import sys, os, signal; from pathlib import Path; from flywheel_local.stack import Stack\n"
        f"stack = Stack(Path({str(tmp_path)!r})); stack.stop_with_parent()\n"
        "from flywheel_local.processes import Processes\n"
        "Processes(stack.home).start('sleeper', ['sleep', '600'], dict(os.environ))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=False, timeout=60)
    deadline = time.monotonic() + 30
    while Processes(tmp_path.resolve()).everyone():
        assert time.monotonic() < deadline, "the stack outlived the process that owned it"


def test_without_java_tansu_stands_in_and_a_line_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    said: list[str] = []
    bare = Stack(tmp_path, given={"S3_ENDPOINT_URL": "unused", "MLFLOW_TRACKING_URI": "unused"}, say=said.append)
    try:
        bare.start_servers()
        assert "Tansu stands in" in said[0]
        assert "Java 17" in said[0]
        produce(bare, "through Tansu")
    finally:
        bare.stop()


def test_down_works_where_nothing_was_ever_started_and_up_says_what_is_wrong_with_a_port(tmp_path):
    def flywheel_local(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        clean = {name: value for name, value in os.environ.items() if not name.endswith("_PORT") and name != MARK}
        environment = {**clean, "FLYWHEEL_HOME": str(tmp_path / "home"), **variables}
        command = [sys.executable, "-m", "flywheel_local", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)

    down = flywheel_local("down")
    assert (down.returncode, "Nothing of the stack" in down.stdout) == (0, True)
    refused = flywheel_local("up", INGEST_PORT="eight")
    assert (refused.returncode, "INGEST_PORT='eight' is no port" in refused.stdout) == (1, True)


def test_the_environment_file_can_be_sourced_by_a_shell_and_is_private(running):
    path: Path = running.home / "env"
    assert path.stat().st_mode & 0o777 == 0o600
    shell = subprocess.run(
        ["sh", "-c", f". {path}; printf %s $MLFLOW_TRACKING_URI"], capture_output=True, text=True, check=True
    )
    assert shell.stdout == env_file.read(path)["MLFLOW_TRACKING_URI"] == running.env["MLFLOW_TRACKING_URI"]
