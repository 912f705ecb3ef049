"""Receives webhooks over real HTTP."""

from __future__ import annotations

import threading
import time
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


class Listener:
    """`with Listener() as listener:`; `listener.url` is what a webhook's sender gets.

    Each request is answered with the next of `statuses`, 204 once they are used up; 0 closes the
    connection without an answer.
    """

    def __init__(self, *, keeps_connections: bool = True) -> None:
        self.received: list[tuple[bytes, Message]] = []
        self.paths: list[str] = []
        self.statuses: list[int] = []
        self.connections = 0
        self._server = Server(("127.0.0.1", 0), _handler(self, keeps_connections))
        self.url = f"http://127.0.0.1:{self._server.server_port}/hooks?from=emulator"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def wait_for(self, count: int) -> list[tuple[bytes, Message]]:
        """The first `count` requests: body and headers."""
        deadline = time.monotonic() + 5
        while len(self.received) < count:
            assert time.monotonic() < deadline, f"{len(self.received)} of {count} came"
            time.sleep(0.005)
        return self.received

    def __enter__(self) -> Listener:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _handler(listener: Listener, keeps_connections: bool) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1" if keeps_connections else "HTTP/1.0"
        timeout = 10

        def setup(self) -> None:
            super().setup()
            listener.connections += 1

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = listener.statuses.pop(0) if listener.statuses else 204
            listener.paths.append(self.path)
            listener.received.append((body, self.headers))
            if status == 0:
                self.close_connection = True
                return
            self.send_response(status)
            if status != 204 and keeps_connections:
                self.send_header("Content-Length", "5")
            self.end_headers()
            if status != 204:
                self.wfile.write(b"text\n")

        def log_message(self, *args: object) -> None:
            pass

    return Handler
