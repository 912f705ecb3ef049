"""The environment, checked once at boot: typed, and with every problem told at once.

An empty or blank value counts as unset. Messages tell names, lengths and line numbers, never a
value, because any value may hold a secret.
"""

import io
import os
import re
import secrets
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, ClassVar, TypeVar
from urllib.parse import urlsplit

from environ import Env

from config import env_values as to

T = TypeVar("T")

OPENAI_REMEDY = (
    "Copy {} from your provider's dashboard, leave it empty to run without an assistant, "
    "or set OPENAI_BASE_URL for another server."
)
WEBHOOK_REMEDY = (
    "Copy the secret from the webhook's page, or leave it empty to do without webhooks."
)

TEN_YEARS = 3653

# What has a default elsewhere, but none that is right in production.
PRODUCTION_NEEDS = {
    "DATABASE_URL": to.DATABASE_REMEDY,
    "DJANGO_SECRET_KEY": to.SECRET_KEY_REMEDY,
    "FRONTEND_URL": to.ORIGIN_REMEDY,
}

ENV_LINE = re.compile(
    r"""\s*(?:export\s+)?(?P<name>[A-Za-z0-9_]+)\s*=\s*
        (?P<value>"(?:\\.|[^"\\])*" | '[^']*' | [^\s"'\#].*? |)
        (?:\s+\#.*)?\s*""",
    re.VERBOSE,
)


def variable(parse: Callable[[str], Any], default: str = "", *, is_secret: bool = False) -> Any:
    """A field of Environment; `default` is the text that is parsed where the variable is unset."""
    return field(repr=not is_secret, metadata={"parse": parse, "default": default})


@dataclass(frozen=True, kw_only=True)
class Environment:
    """One field per variable, of the same name in lower case; `database` is DATABASE_URL.

    Those without a parser have one, or a default, that depends on others: see `derive`.
    """

    app_env: str = variable(to.one_of("development", "production", "test"), "development")
    debug: bool = variable(to.boolean, "false")
    log_level: str = variable(to.one_of("DEBUG", "INFO", "WARNING", "ERROR"), "INFO")

    database: dict[str, Any] = field(repr=False)
    django_secret_key: str = variable(to.secret_key, is_secret=True)
    celery_broker_url: str = variable(to.broker, "memory://", is_secret=True)
    cache_url: str = field(repr=False)

    bind: str = variable(to.ip_address, "127.0.0.1")
    port: int = variable(to.whole(1, 65535), "3001")
    frontend_url: str
    allowed_hosts: tuple[str, ...]
    trust_proxy: bool = variable(to.boolean, "false")
    metrics_token: str = variable(to.metrics_token, is_secret=True)

    openai_api_key: str = field(repr=False)
    openai_assistant_id: str
    openai_base_url: str | None = variable(to.api_root)
    openai_protocol: str = variable(to.one_of("responses", "assistants"), "responses")
    openai_model: str = variable(str, "gpt-5.1")
    openai_webhook_secret: str = variable(to.webhook_secret(WEBHOOK_REMEDY), is_secret=True)

    run_timeout_seconds: int = variable(to.whole(1), "90")
    start_timeout_seconds: int = variable(to.whole(1), "600")
    polls_per_second: float = variable(to.positive, "100")
    call_slots: int = variable(to.whole(1, 256), "16")
    max_runs_in_flight: int = variable(to.whole(1), "300")
    max_runs_per_user: int = variable(to.whole(1), "10")
    monthly_simulation_limit: int = variable(to.whole(0), "50")
    throttle_user: int = variable(to.whole(0), "1200")
    throttle_token: int = variable(to.whole(0), "600")
    throttle_address: int = variable(to.whole(0), "60")
    throttle_submissions: int = variable(to.whole(0), "60")
    throttle_replays: int = variable(to.whole(0), "120")
    sign_in_failures: int = variable(to.whole(1), "10")
    sign_in_lockout_minutes: int = variable(to.whole(1, 1440), "15")
    session_hours: int = variable(to.whole(1, 720), "12")
    session_idle_minutes: int = variable(to.whole(5, 1440), "60")

    ground_by_search: bool = variable(to.boolean, "false")
    usage_currency: str = variable(to.currency, "USD")

    retain_raw_answers_days: int = variable(to.whole(0, TEN_YEARS), "0")
    retain_prompts_days: int = variable(to.whole(0, TEN_YEARS), "0")
    retain_simulations_days: int = variable(to.whole(0, TEN_YEARS), "0")
    retain_audit_days: int = variable(to.whole(0, TEN_YEARS), "0")

    @property
    def is_production(self) -> bool:
        return self.app_env == "production"

    @property
    def listen_on(self) -> str:
        """Address and port, as gunicorn takes them."""
        return f"[{self.bind}]:{self.port}" if ":" in self.bind else f"{self.bind}:{self.port}"

    @property
    def openai_configured(self) -> bool:
        needs_id = self.openai_protocol == "assistants"
        return bool(self.openai_api_key and (self.openai_assistant_id or not needs_id))


@dataclass(frozen=True)
class Problem:
    name: str
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.name}: {self.what}. {self.remedy}"


class EnvironmentInvalid(Exception):
    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


def load(source: Mapping[str, str], base_dir: Path) -> Environment:
    given = without_blanks(source)
    problems: list[Problem] = []

    def read(name: str, parse: Callable[[str], T], default: str = "") -> T:
        try:
            return parse(given.get(name, default))
        except to.RejectedError as rejected:
            problems.append(Problem(name, rejected.what, rejected.remedy))
            return parse(default)  # to go on and find the other problems

    values = {
        each.name: read(each.name.upper(), **each.metadata)
        for each in fields(Environment)
        if each.metadata
    }
    values |= derive(values, read, base_dir, "OPENAI_BASE_URL" in given)
    environment = Environment(**values)
    if environment.is_production:
        problems += production_problems(environment, given)
    if problems:
        raise EnvironmentInvalid(problems)
    if not environment.django_secret_key:
        return replace(environment, django_secret_key=own_secret_key(base_dir))
    return environment


def derive(
    values: Mapping[str, Any], read: Callable[..., Any], base_dir: Path, is_other_server: bool
) -> dict[str, Any]:
    """What depends on other variables; another provider's keys and ids may have any shape."""
    frontend_url = read("FRONTEND_URL", to.origin, f"http://localhost:{values['port']}")
    hosts = to.bracketed_host(urlsplit(frontend_url))
    if values["app_env"] != "production":
        hosts += ",localhost,127.0.0.1,[::1]"
    broker_url = values["celery_broker_url"]
    has_redis = broker_url.startswith(("redis:", "rediss:"))
    key, assistant_id = ("", "") if is_other_server else ("sk-", "asst_")
    return {
        "database": read("DATABASE_URL", to.database_in(base_dir), "sqlite:///var/sitrep.sqlite3"),
        "cache_url": read("CACHE_URL", to.cache, broker_url if has_redis else "memory://"),
        "frontend_url": frontend_url,
        "allowed_hosts": read("ALLOWED_HOSTS", to.hosts, hosts),
        "openai_api_key": read("OPENAI_API_KEY", to.token(key, OPENAI_REMEDY.format("the key"))),
        "openai_assistant_id": read(
            "OPENAI_ASSISTANT_ID",
            to.token(assistant_id, OPENAI_REMEDY.format("the assistant's id")),
        ),
    }


def production_problems(environment: Environment, given: Mapping[str, str]) -> Iterator[Problem]:
    for name, remedy in PRODUCTION_NEEDS.items():
        if name not in given:
            yield Problem(name, "is not set, which production needs", remedy)
    if environment.debug:
        yield Problem("DEBUG", "is on in production", "Remove it, or set APP_ENV=development.")
    if "*" in environment.allowed_hosts:
        yield Problem("ALLOWED_HOSTS", "lets every host in, in production", to.HOSTS_REMEDY)
    url = environment.frontend_url
    if not (url.startswith("https://") or to.is_loopback(url)):
        remedy = "Serve the site over https://; plain http:// is for this machine alone."
        yield Problem("FRONTEND_URL", "is not https, in production", remedy)


def own_secret_key(base_dir: Path) -> str:
    """The machine's own key: made once, and the same for processes that start at the same time."""
    path = base_dir / "var" / "secret_key"
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with NamedTemporaryFile("w", dir=path.parent) as draft:  # has mode 0600
                draft.write(secrets.token_urlsafe(50))
                draft.flush()
                with suppress(FileExistsError):  # another process was faster: use its key
                    os.link(draft.name, path)
        key = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        what = f"is not set, and {path} cannot be used ({type(error).__name__})"
        raise EnvironmentInvalid(
            [Problem("DJANGO_SECRET_KEY", what, to.SECRET_KEY_REMEDY)]
        ) from None
    if len(key) < to.SECRET_KEY_LENGTH:
        what = f"is not set, and the key in {path} is {len(key)} characters long"
        remedy = "Delete that file, and a new one is made."
        raise EnvironmentInvalid([Problem("DJANGO_SECRET_KEY", what, remedy)])
    return key


def load_or_exit(base_dir: Path) -> Environment:
    """From the process environment, and from `.env` for what that leaves unset."""
    real = without_blanks(os.environ)
    problems: list[Problem] = []
    try:
        # Tests must not depend on what a developer has in the file.
        file = {} if real.get("APP_ENV") == "test" else read_env_file(base_dir / ".env", problems)
        environment = load({**file, **real}, base_dir)
    except EnvironmentInvalid as invalid:
        problems += invalid.problems
    else:
        if not problems:
            return environment
    lines = ["Sitrep cannot start. Problems in the environment:", *map(str, problems)]
    sys.stderr.write("\n  ".join(lines) + "\n")
    raise SystemExit(1)


def read_env_file(path: Path, problems: list[Problem]) -> dict[str, str]:
    class File(Env):
        ENVIRON: ClassVar[dict[str, str]] = {}

    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        what = f"cannot be read ({type(error).__name__})"
        problems.append(Problem(str(path), what, "Make it a readable UTF-8 file, or remove it."))
        return {}
    # Env would keep a comment after a value, and log a line it cannot read, secrets and all.
    plain = []
    for number, line in enumerate(lines, start=1):
        if match := ENV_LINE.fullmatch(line):
            plain.append("{name}={value}".format_map(match.groupdict()))
        elif line.strip() and not line.lstrip().startswith("#"):
            remedy = "Write one variable per line, and # before a comment."
            problems.append(Problem(f"{path}, line {number}", "is not NAME=value", remedy))
    File.read_env(io.StringIO("\n".join(plain)))
    return File.ENVIRON


def without_blanks(source: Mapping[str, str]) -> dict[str, str]:
    return {name: text.strip() for name, text in source.items() if text.strip()}
