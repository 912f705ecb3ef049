"""A proxy in front of a site that fails in all the ways a client has to live with."""

import json
import threading
from collections.abc import Sequence
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

PAGE = b"<html><h1>502 Bad Gateway</h1></html>"


class FailingProxy(ThreadingHTTPServer):
    """`with FailingProxy(site, "POST", [...]) as proxy:`; each POST meets the next of the failures.

    The answer of `lost` never comes back, half of it of `cut`; `page` is a proxy's own 502, `busy`
    and `throttled` are 503 and 429 with Retry-After.
    """

    daemon_threads = True

    def __init__(self, site: str, method: str = "", failures: Sequence[str] = ()) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.site, self.method, self.failures = site, method, list(failures)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.keys: list[str | None] = []

    def __enter__(self) -> "FailingProxy":
        threading.Thread(target=self.serve_forever, args=(0.01,)).start()
        return self

    def __exit__(self, *args: object) -> None:
        self.shutdown()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    server: FailingProxy

    def do_POST(self) -> None:
        self.server.keys.append(self.headers["Idempotency-Key"])
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fails = self.server.failures and self.command == self.server.method
        failure = self.server.failures.pop(0) if fails else ""
        if failure == "page":
            self.reply(502, {"Content-Type": "text/html"}, PAGE)
        elif failure in {"busy", "throttled"}:
            self.reply_too_early(503 if failure == "busy" else 429)
        else:
            self.forward(body, failure)

    def forward(self, body: bytes, failure: str) -> None:
        connection = HTTPConnection(urlsplit(self.server.site).netloc, timeout=30)
        sent = {name: value for name, value in self.headers.items() if name != "Connection"}
        connection.request(self.command, self.path, body or None, sent)
        answer: HTTPResponse = connection.getresponse()
        content = answer.read()
        connection.close()
        headers = {name: value for name, value in answer.headers.items() if name != "Connection"}
        if location := headers.get("Location"):
            headers["Location"] = location.replace(self.server.site, self.server.url)
        if failure != "lost":
            half = len(content) // 2 if failure == "cut" else len(content)
            self.reply(answer.status, headers, content, sent=half)

    def reply_too_early(self, status: int) -> None:
        body = {"error": "Busy", "message": "Try again.", "statusCode": status, "requestId": "r"}
        headers = {"Content-Type": "application/json", "Retry-After": "1"}
        self.reply(status, headers, json.dumps(body).encode())

    def reply(
        self, status: int, headers: dict[str, str], content: bytes, sent: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(content))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content[:sent])

    def log_message(self, *args: Any) -> None:
        pass
