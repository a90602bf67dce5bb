import os
import signal
import subprocess
import sys

import psutil
import pytest

from flywheel_local.ports import is_free
from flywheel_local.processes import Processes, end
from tests.waiting import until

ENVIRONMENT = {"PATH": os.environ["PATH"]}


@pytest.fixture
def processes(tmp_path):
    own = Processes(tmp_path)
    yield own
    for name in own.names():
        own.stop(name, patience_s=0)


def has_ended(pid: int) -> bool:
    """Gone, or dead with nobody having waited for it."""
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_started_process_is_found_by_its_name_and_its_file_holds_its_id_alone(processes):
    pid = processes.start("sleeper", ["sleep", "600"], ENVIRONMENT)
    assert processes.pid("sleeper") == pid
    assert int(processes.pid_file("sleeper").read_text()) == pid


def test_an_id_that_the_system_gave_to_somebody_else_is_not_ours_and_is_not_ended(processes, tmp_path):
    stranger = Processes(tmp_path / "elsewhere")
    pid = stranger.start("sleeper", ["sleep", "600"], ENVIRONMENT)
    processes.pid_file("sleeper").parent.mkdir()
    processes.note("sleeper", pid)
    assert processes.pid("sleeper") is None
    processes.stop("sleeper", patience_s=1)
    assert stranger.pid("sleeper") == pid
    stranger.stop("sleeper", patience_s=1)


def test_a_stopped_process_is_gone_and_forgotten(processes):
    pid = processes.start("sleeper", ["sleep", "600"], ENVIRONMENT)
    processes.stop("sleeper", patience_s=5)
    assert has_ended(pid)
    assert processes.names() == []


def test_a_process_that_will_not_listen_is_killed(processes, tmp_path):
    script = f"trap '' TERM; touch {tmp_path}/deaf; while :; do sleep 0.1; done"
    pid = processes.start("deaf", ["sh", "-c", script], ENVIRONMENT)
    while not (tmp_path / "deaf").exists():
        assert psutil.pid_exists(pid)
    processes.stop("deaf", patience_s=0.2)
    assert has_ended(pid)


def test_a_killed_process_is_dead_and_still_missed(processes):
    processes.start("sleeper", ["sleep", "600"], ENVIRONMENT)
    processes.kill("sleeper")
    assert (processes.pid("sleeper"), processes.names()) == (None, ["sleeper"])


def test_a_process_that_ended_by_itself_is_dead_though_nobody_waited_for_it(processes):
    pid = processes.start("short", ["true"], ENVIRONMENT)
    while not has_ended(pid):
        pass
    assert processes.pid("short") is None


def test_children_go_with_their_parent_even_when_the_parent_is_dead_already(processes, tmp_path):
    parent = processes.start("parent", ["sh", "-c", f"sleep 600 & echo $! > {tmp_path}/child; wait"], ENVIRONMENT)
    while not (tmp_path / "child").exists() or not (tmp_path / "child").read_text():
        assert psutil.pid_exists(parent)
    child = int((tmp_path / "child").read_text())
    os.kill(parent, signal.SIGKILL)
    processes.stop("parent", patience_s=5)
    assert has_ended(child)


def test_what_a_process_prints_is_kept_over_restarts(processes):
    for word in ("first", "second"):
        pid = processes.start("talker", ["echo", word], ENVIRONMENT)
        while not has_ended(pid):
            pass
    assert processes.log("talker").read_text().split() == ["first", "second"]


LEADERLESS = """
import ctypes, socket, threading, time
listening = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=time.sleep, args=(60,)).start()
print(listening.getsockname()[1], flush=True)
ctypes.CDLL(None).syscall(60, 0)  # ends this thread alone (exit, not exit_group)
"""


def test_a_process_that_lost_its_first_thread_still_lives_and_holds_its_port():
    started = subprocess.Popen([sys.executable, "-c", LEADERLESS], stdout=subprocess.PIPE, text=True)
    process = psutil.Process(started.pid)
    assert started.stdout is not None
    port = int(started.stdout.readline())
    until(lambda: process.status() == psutil.STATUS_ZOMBIE)
    assert not is_free(port)
    end([process], signal.SIGKILL, patience_s=10)
    assert is_free(port)
    started.wait(10)
