import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import typer

from flywheel_cli.trainer_api import Service


@pytest.fixture
def trainer(monkeypatch):
    """The trainer's client, and how often the service yet says that it cannot answer."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.server.away -= 1
            self.send_response(503 if self.server.away >= 0 else 200)
            self.send_header("Retry-After", "0")
            self.end_headers()
            self.wfile.write(b'{"detail": "not now"}' if self.server.away >= 0 else b'{"here": true}')

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("TRAINER_URL", f"http://127.0.0.1:{server.server_port}")
    yield Service("TRAINER"), server
    server.shutdown()
    server.server_close()


def test_who_waits_anyway_asks_a_service_again_that_cannot_answer_at_the_moment(trainer):
    client, server = trainer
    server.away = 3
    assert client.get("/", patience_s=60) == {"here": True}


def test_who_does_not_wait_is_told_at_once(trainer, capsys):
    client, server = trainer
    server.away = 1
    with pytest.raises(typer.Exit):
        client.get("/")
    assert "not now" in capsys.readouterr().err


def test_patience_ends(trainer):
    client, server = trainer
    server.away = 10**9
    with pytest.raises(typer.Exit):
        client.get("/", patience_s=0.05)
