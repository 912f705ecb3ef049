"""Where a provider leads elsewhere, or isn't who it says: nobody goes there with key and prompt."""

import ssl
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from pytest_django import Settings

from simulations.providers import get_provider
from simulations.providers.base import ProviderError, RunReference
from simulations.providers.client import DeadlineTransport, build_client, get_client


class Redirecting(ThreadingHTTPServer):
    """Answers each request below /v1 with a redirect, and notes what comes elsewhere."""

    status = 307

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.arrived: list[str] = []


class Handler(BaseHTTPRequestHandler):
    server: Redirecting

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not self.path.startswith("/v1/"):
            self.server.arrived.append(self.path)
        self.send_response(self.server.status)
        # "localhost" is another host than the one that was asked.
        self.send_header("Location", f"http://localhost:{self.server.server_port}/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        self.do_POST()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server(settings: Settings) -> Iterator[Redirecting]:
    server = Redirecting()
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    settings.OPENAI_BASE_URL = f"{server.url}/v1"
    build_client.cache_clear()
    yield server
    get_client().close()
    build_client.cache_clear()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_a_refusal(server: Redirecting, status: int, protocol: str) -> None:
    server.status = status
    provider = get_provider(protocol)
    run = RunReference("conv_1", "run_1")
    for call in (provider.fetch_run, provider.cancel_run):  # GET and POST
        with pytest.raises(ProviderError) as caught:
            call(run)
        assert caught.value.status == status
        assert not caught.value.retryable
    assert server.arrived == []


def test_a_certificate_is_checked_and_must_be_of_the_host() -> None:
    with DeadlineTransport() as transport:
        context = transport._pool._ssl_context
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
