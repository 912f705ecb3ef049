"""The site as production runs it, through a proxy and past it: what it believes of a request.

Every answer here is gunicorn's, under the settings of a site whose address is https.
"""

import re
import socket
from collections.abc import Iterator

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scripts import service
from tests.e2e.stack import HOST, PASSWORD, Stack, Template

NAME = "sitrep.example"
SITE = {"Host": NAME}
SECURE = SITE | {"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.10"}


class Site:
    """One web process and what it listens on."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"http://{HOST}:{port}"

    def get(self, path: str = "/sign-in/", **headers: str) -> httpx2.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx2.get(self.url + path, headers=SITE | named, timeout=30)

    def send(self, *lines: str, body: str = "") -> str:
        """The status line, of a request as it is written; empty if the connection is closed."""
        request = "\r\n".join([*lines, "Connection: close", "", body]).encode("latin-1")
        with socket.create_connection((HOST, self.port), timeout=10) as connection:
            connection.sendall(request)
            return connection.makefile("rb").readline().decode("latin-1").strip()


@pytest.fixture(scope="module")
def sites(template: Template, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Site]]:
    """One that trusts its proxy, and one that trusts nobody."""
    stack = Stack(tmp_path_factory.mktemp("proxy"), template, "responses")
    stack.environment |= {
        "APP_ENV": "production",
        "DJANGO_SECRET_KEY": "for-tests-only-and-long-enough-to-be-accepted",
        "FRONTEND_URL": f"https://{NAME}",
        # The second one is for the stack itself, which asks whether the site is there.
        "ALLOWED_HOSTS": f"{NAME},{HOST}",
        "THROTTLE_ADDRESS": "0",
    }
    found = []
    try:
        for trust in ("true", "false"):
            stack.port = service.free_port()
            stack.url = f"http://{HOST}:{stack.port}"
            stack.environment["TRUST_PROXY"] = trust
            stack.start_process(f"web-{trust}", service.web(HOST, stack.port))
            stack.wait_for_web()
            found.append(Site(stack.port))
        yield found
    finally:
        stack.stop()


@pytest.fixture
def trusting(sites: list[Site]) -> Site:
    return sites[0]


@pytest.fixture
def wary(sites: list[Site]) -> Site:
    return sites[1]


# --- The scheme -------------------------------------------------------------------------------


def test_the_proxys_word_about_the_scheme_counts_where_it_is_trusted(
    trusting: Site, wary: Site
) -> None:
    for scheme, status in [("https", 200), ("http", 301), ("HTTPS", 301), ("https, http", 200)]:
        assert trusting.get(X_Forwarded_Proto=scheme).status_code == status, scheme
    assert trusting.get().status_code == 301
    for name in ["X_Forwarded_Proto", "X_Forwarded_Protocol", "X_Forwarded_Ssl", "X_Scheme"]:
        for value in ("https", "ssl", "on"):
            response = wary.get(**{name: value})
            assert response.status_code == 301, name
            assert response.headers["Location"] == f"https://{NAME}/sign-in/"


def test_a_program_without_tls_is_told_so_and_a_probe_is_answered(sites: list[Site]) -> None:
    for site in sites:
        refused = site.get("/api/v1/me")
        assert refused.status_code == 403
        assert "Only https is accepted" in refused.json()["message"]
        assert site.get("/healthz").status_code == 200


def test_what_the_headers_and_cookies_of_production_are(trusting: Site) -> None:
    with httpx2.Client(base_url=trusting.url, headers=SECURE, timeout=30) as browser:
        page = browser.get("/sign-in/")
        [csrf] = page.headers.get_list("Set-Cookie")
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)[1]
        form = {"username": "admin", "password": PASSWORD, "csrfmiddlewaretoken": token}
        headers = {"Referer": f"https://{NAME}/sign-in/", "Cookie": csrf.partition(";")[0]}
        signed_in = browser.post("/sign-in/", data=form, headers=headers)
        assert signed_in.status_code == 302
        cookies = [csrf, *signed_in.headers.get_list("Set-Cookie")]
    assert {cookie.partition("=")[0] for cookie in cookies} == {
        "__Host-csrftoken",
        "__Host-sessionid",
    }
    for cookie in cookies:
        parts = {part.strip() for part in cookie.split(";")}
        assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= parts, cookie
        assert "domain" not in cookie.lower()
    for response in (page, signed_in, trusting.get("/static/nothing.css", **SECURE)):
        hsts = response.headers["Strict-Transport-Security"]
        assert hsts == "max-age=31536000; includeSubDomains"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert "Server" not in response.headers or "/" not in response.headers["Server"]


def test_another_sites_form_is_refused(trusting: Site) -> None:
    for origin in [
        "https://evil.example",
        f"http://{NAME}",
        "null",
        f"https://{NAME}.evil.example",
    ]:
        headers = SECURE | {"Origin": origin, "Cookie": f"__Host-csrftoken={'a' * 32}"}
        form = {"csrfmiddlewaretoken": "a" * 32, "username": "admin", "password": PASSWORD}
        response = httpx2.post(f"{trusting.url}/sign-in/", data=form, headers=headers, timeout=30)
        assert response.status_code == 403, origin


# --- The host ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", f"{NAME}.evil.example", f"evil-{NAME}", f"www.{NAME}", f"{NAME}@evil"),
        *(f"{NAME}:80@evil.example", f"{NAME}/x", f"{NAME}?x", f"{NAME}#x", f"{NAME},evil.example"),
        *(f"{NAME}:0x50", f"{NAME}:", "", " ", "localhost", "0.0.0.0", "[::1]", "*", "."),
        *(f"{NAME}..", f"{NAME}\\evil", f"{NAME}%00", "xn--strep-6ya.example", "\xe4.example"),
    ],
)
def test_another_host_is_refused(trusting: Site, host: str) -> None:
    lines = ["GET /sign-in/ HTTP/1.1", f"Host: {host}", "X-Forwarded-Proto: https"]
    assert trusting.send(*lines) == "HTTP/1.1 400 Bad Request"


@pytest.mark.parametrize("host", [NAME, NAME.upper(), f"{NAME}:443", f"{NAME}."])
def test_the_sites_own_name_is_accepted_as_browsers_write_it(trusting: Site, host: str) -> None:
    lines = ["GET /sign-in/ HTTP/1.1", f"Host: {host}", "X-Forwarded-Proto: https"]
    assert trusting.send(*lines) == "HTTP/1.1 200 OK"


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(host=st.text(st.characters(max_codepoint=255, blacklist_characters="\r\n"), max_size=60))
def test_no_other_text_is_a_host(sites: list[Site], host: str) -> None:
    lines = ["GET /sign-in/ HTTP/1.1", f"Host: {host}", "X-Forwarded-Proto: https"]
    status = sites[0].send(*lines)
    assert status.startswith("HTTP/1.1 400 "), (host, status)


def test_a_host_that_the_client_forwards_is_not_believed(sites: list[Site]) -> None:
    names = ["X-Forwarded-Host", "X-Host", "X-Original-Host", "Forwarded", "X-HTTP-Host-Override"]
    for site in sites:
        for name in names:
            value = "host=evil.example" if name == "Forwarded" else "evil.example"
            answer = site.get("/", **{name: value, "X-Forwarded-Proto": "https"})
            assert "evil.example" not in answer.headers["Location"], name
            assert "evil.example" not in site.get(**SECURE | {name: value}).text, name


def test_neither_path_nor_prefix_is_the_clients_to_set(sites: list[Site]) -> None:
    """gunicorn lets a forwarder that it trusts say both, and trusts this machine by itself."""
    for site in sites:
        for name in ("PATH_INFO", "Path-Info", "SCRIPT_NAME", "Script-Name", "X-Original-URL"):
            lines = ["GET /nowhere HTTP/1.1", f"Host: {NAME}", "X-Forwarded-Proto: https"]
            status = site.send(*lines, f"{name}: /healthz").split()[1]
            assert status in {"404", "301", "400"}, name


# --- Where a request ends ---------------------------------------------------------------------

POST = ["POST /sign-in/ HTTP/1.1", f"Host: {NAME}", "X-Forwarded-Proto: https"]
HIDDEN = "GET /healthz HTTP/1.1\r\nHost: sitrep.example\r\n\r\n"


@pytest.mark.parametrize(
    "lengths",
    [
        ["Content-Length: 4", "Transfer-Encoding: chunked"],
        ["Content-Length: 4", "Content-Length: 40"],
        ["Content-Length: 4, 40"],
        ["Content-Length: +4"],
        ["Content-Length: -1"],
        ["Content-Length: 0x4"],
        ["Transfer-Encoding: chunked, identity"],
        ["Transfer-Encoding: xchunked"],
        ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding : chunked"],
        ["Transfer-Encoding:\x0bchunked"],
        [" Transfer-Encoding: chunked"],
    ],
)
def test_a_request_whose_end_is_in_doubt_is_refused(trusting: Site, lengths: list[str]) -> None:
    status = trusting.send(*POST, *lengths, body=f"0\r\n\r\n{HIDDEN}")
    assert status.split()[1:2] in [["400"], ["501"], []], status


@pytest.mark.parametrize(
    "line",
    [
        *("X-A: b\rX-B: c", "X-A: b\x00c", "X-A : b", "X A: b", ": b", "X-A"),
        *("X-Long: " + "a" * 20_000,),
    ],
)
def test_a_malformed_header_is_refused(trusting: Site, line: str) -> None:
    assert trusting.send(*POST, line).split()[1] in {"400", "431"}


def test_a_target_that_is_no_path_is_not_followed(trusting: Site) -> None:
    for target in (
        "http://evil.example/sign-in/",
        "//evil.example/sign-in/",
        "*",
        "evil.example:443",
    ):
        for method in ("GET", "OPTIONS", "CONNECT", "TRACE"):
            lines = [f"{method} {target} HTTP/1.1", f"Host: {NAME}", "X-Forwarded-Proto: https"]
            status = trusting.send(*lines).split()[1]
            assert status in {"200", "400", "404", "405"}, (method, target, status)
            if method in {"CONNECT", "TRACE"}:
                assert status in {"400", "405"}
