import os
import signal
import socket
import subprocess
import sys
import time

import httpx
import pytest

from http_api import server

APPLICATION = """
import gc, sys
from fastapi import FastAPI
from http_api import server
app = FastAPI()
@app.get("/frozen")
def frozen() -> int:
    return gc.get_freeze_count()
server.run(app, "127.0.0.1", int(sys.argv[1]), port_variable="INGEST_PORT")
"""


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def start(port: int) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", APPLICATION, str(port)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def test_a_taken_port_is_an_error_that_names_the_variable():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(server.CannotListenError, match=rf"port {port}.*taken.*set INGEST_PORT"):
            server.listen("127.0.0.1", port, "INGEST_PORT")
        process = start(port)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "set INGEST_PORT to a free port" in errors
    assert "Traceback" not in errors


def test_it_serves_with_start_up_objects_frozen_and_ends_on_sigterm():
    port = free_port()
    process = start(port)
    try:
        for _ in range(300):
            try:
                answer = httpx.get(f"http://127.0.0.1:{port}/frozen")
                break
            except httpx.TransportError:
                time.sleep(0.1)
        assert answer.json() > 1000
        assert "server" not in answer.headers
    finally:
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
    assert process.returncode in (0, -signal.SIGTERM), errors
