"""Parsers for the values of environment variables: text in, typed value out, or RejectedError."""

import base64
import ipaddress
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import SplitResult, urlsplit

from environ import Env

SECRET_KEY_LENGTH = 32
SECRET_KEY_REMEDY = (
    f"Use at least {SECRET_KEY_LENGTH} random characters: "
    "python -c 'import secrets; print(secrets.token_urlsafe(50))'."
)
METRICS_TOKEN_LENGTH = 16
METRICS_REMEDY = (
    f"Use at least {METRICS_TOKEN_LENGTH} random characters, or leave it empty to do without "
    "metrics: python -c 'import secrets; print(secrets.token_urlsafe(24))'."
)
DATABASE_REMEDY = (
    "Write postgres://user:password@host:5432/name (special characters percent-encoded), "
    "sqlite:///file below the project or sqlite:////absolute/file."
)
ORIGIN_REMEDY = (
    "Write where people reach the site, and nothing after it: https://sitrep.example.com."
)
API_REMEDY = "Write https://host/v1; plain http:// is for a server on this machine."
BROKER_REMEDY = (
    "Write redis://host:6379/0, rediss://… or amqp://… (special characters percent-encoded), or "
    "leave it empty for `make run` or `manage.py embedded_worker`."
)
CACHE_REMEDY = (
    "Write redis://host:6379/0 (special characters percent-encoded), or memory:// for a cache in "
    "each process."
)
BIND_REMEDY = (
    "Write 127.0.0.1 for a site that a proxy on this machine reaches, 0.0.0.0 for one that others "
    "reach directly, or one of this machine's addresses."
)
HOSTS_REMEDY = "Write host names with commas between: sitrep.example.com,.example.org."

NO_WORDS = ("false", "off", "no", "n", "0")
LARGEST_IN_DATABASE = 2**31 - 1
# What Django accepts in a Host header.
HOST_NAME = r"[a-z0-9.-]+|\[[a-f0-9:.]*:[a-f0-9:.]*\]"


class RejectedError(ValueError):
    """Tells what is wrong with a value and how to put it right, never the value: see config.env."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what, remedy)
        self.what, self.remedy = what, remedy


def boolean(text: str) -> bool:
    if text.lower() not in (*Env.BOOLEAN_TRUE_STRINGS, *NO_WORDS):
        raise RejectedError("is neither true nor false", "Write true or false.")
    return Env.parse_value(text, bool)


def one_of(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in choices:
            raise RejectedError("is not a known choice", f"Write one of: {', '.join(choices)}.")
        return text

    return parse


def currency(text: str) -> str:
    if not re.fullmatch(r"[A-Z]{3}", text):
        remedy = "Write its ISO 4217 code, three capital letters: EUR."
        raise RejectedError("is not the code of a currency", remedy)
    return text


def whole(least: int, most: int = LARGEST_IN_DATABASE) -> Callable[[str], int]:
    remedy = f"Write a whole number from {least} to {most}."

    def parse(text: str) -> int:
        try:
            number = Env.parse_value(text, int)
        except ValueError:
            raise RejectedError("is not a whole number", remedy) from None
        if not least <= number <= most:
            raise RejectedError("is out of range", remedy)
        return number

    return parse


def positive(text: str) -> float:
    # Not Env's float: it drops what is no digit, so that "1e3" would be 13.
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise RejectedError("is not a number above 0", "Write a number such as 15 or 0.5.")
    return number


def token(prefix: str, remedy: str) -> Callable[[str], str]:
    """A key or id from a provider, or nothing."""

    def parse(text: str) -> str:
        if text and not text.startswith(prefix):
            raise RejectedError(f'does not start with "{prefix}"', remedy)
        if not re.fullmatch(r"[!-~]*", text):
            raise RejectedError("has a space or a character outside ASCII", remedy)
        return text

    return parse


def webhook_secret(remedy: str) -> Callable[[str], str]:
    """`whsec_` and base64, or nothing: another text would let no webhook in."""
    parse_token = token("whsec_", remedy)

    def parse(text: str) -> str:
        secret = parse_token(text).removeprefix("whsec_")
        try:
            base64.b64decode(secret, validate=True)
        except ValueError as error:
            raise RejectedError('is not base64 after "whsec_"', remedy) from error
        return text

    return parse


def secret_key(text: str) -> str:
    if text and len(text) < SECRET_KEY_LENGTH:
        wrong = f"is {len(text)} characters long, shorter than {SECRET_KEY_LENGTH}"
        raise RejectedError(wrong, SECRET_KEY_REMEDY)
    return text


def metrics_token(text: str) -> str:
    if text and len(text) < METRICS_TOKEN_LENGTH:
        wrong = f"is {len(text)} characters long, shorter than {METRICS_TOKEN_LENGTH}"
        raise RejectedError(wrong, METRICS_REMEDY)
    return token("", METRICS_REMEDY)(text)


def origin(text: str) -> str:
    """Scheme, host and port, written as browsers write it in an Origin header."""
    url = split_url(text, ("http", "https"), ORIGIN_REMEDY)
    if url.path.strip("/") or url.query or url.fragment or "@" in url.netloc:
        raise RejectedError("is more than a scheme, a host and a port", ORIGIN_REMEDY)
    host = bracketed_host(url)
    if not re.fullmatch(HOST_NAME, host):
        raise RejectedError("has no valid host name", ORIGIN_REMEDY)
    usual = {"http": 80, "https": 443}[url.scheme]
    return f"{url.scheme}://{host}" + (f":{url.port}" if url.port not in (None, usual) else "")


def ip_address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise RejectedError("is not an IP address", BIND_REMEDY) from None


def hosts(text: str) -> tuple[str, ...]:
    names = [name.strip().lower() for name in Env.parse_value(text, list) if name.strip()]
    for place, name in enumerate(names, start=1):
        if name != "*" and not re.fullmatch(HOST_NAME, name):
            raise RejectedError(f"has no valid host name in place {place}", HOSTS_REMEDY)
    if not names:
        raise RejectedError("names no host", HOSTS_REMEDY)
    return tuple(dict.fromkeys(names))


def api_root(text: str) -> str | None:
    if not text:
        return None
    url = split_url(text, ("http", "https"), API_REMEDY)
    if "@" in url.netloc or url.query or url.fragment:
        raise RejectedError("has a login, a query or a fragment in it", API_REMEDY)
    if url.scheme == "http" and not is_loopback(text):
        raise RejectedError("would carry the key unencrypted to another machine", API_REMEDY)
    return text.rstrip("/")


def broker(text: str) -> str:
    if not text.startswith("memory://"):
        split_url(text, ("redis", "rediss", "amqp"), BROKER_REMEDY)
    return text


def cache(text: str) -> str:
    if not text.startswith("memory://"):
        split_url(text, ("redis", "rediss"), CACHE_REMEDY)
    return text


def database_in(base_dir: Path) -> Callable[[str], dict[str, Any]]:
    def reject(what: str) -> NoReturn:
        raise RejectedError(what, DATABASE_REMEDY)

    def parse(text: str) -> dict[str, Any]:
        scheme, _, rest = text.partition("://")
        if scheme not in ("postgres", "postgresql", "sqlite"):
            reject("is neither a PostgreSQL nor an SQLite URL")
        # Env would drop a host and open a database in memory.
        if scheme == "sqlite" and not (rest == ":memory:" or rest.startswith("/")):
            reject("has too few slashes for an SQLite URL")
        try:
            database = Env.db_url_config(text)
        except ValueError:  # its message may quote a part of the password
            database = {"NAME": ""}
        if not database["NAME"] or (database["NAME"] == ":memory:" and ":memory:" not in rest):
            reject("is not a URL that names a database")
        if scheme == "sqlite" and database["NAME"] != ":memory:":
            database["NAME"] = str(base_dir / database["NAME"])
        return database

    return parse


def split_url(text: str, schemes: tuple[str, ...], remedy: str) -> SplitResult:
    wrong = f"is not a valid {' or '.join(schemes)} URL"
    try:
        url = urlsplit(text)
        complete = url.hostname and url.port != 0  # a port that is no port raises ValueError
    except ValueError:
        raise RejectedError(wrong, remedy) from None
    if url.scheme not in schemes or not complete or re.search(r"\s", text):
        raise RejectedError(wrong, remedy)
    return url


def bracketed_host(url: SplitResult) -> str:
    host = url.hostname or ""
    return f"[{host}]" if ":" in host else host


def is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
