import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@pytest.fixture
def answering():
    """Starts servers on loopback that answer GETs with a status and a body, but with `before` the first `times`."""
    servers = []

    def start(status: int, body: object, *, before: tuple[int, object] | None = None, times: int = 0) -> str:
        left = iter(range(times))

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                code, said = (status, body) if before is None or next(left, None) is None else before
                self.send_response(code)
                self.send_header("Retry-After", "0")
                self.end_headers()
                self.wfile.write(json.dumps(said).encode())

            def log_message(self, *arguments: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
