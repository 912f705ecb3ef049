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
from dataclasses import dataclass, field, replace
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

METRICS_TOKEN_LENGTH = 16
METRICS_REMEDY = (
    f"Use at least {METRICS_TOKEN_LENGTH} random characters, or leave it empty to do without "
    "metrics: python -c 'import secrets; print(secrets.token_urlsafe(24))'."
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


@dataclass(frozen=True, kw_only=True)
class Environment:
    """One field per variable, of the same name in lower case; `database` is DATABASE_URL."""

    app_env: str
    debug: bool
    log_level: str

    database: dict[str, Any] = field(repr=False)
    django_secret_key: str = field(repr=False)
    celery_broker_url: str = field(repr=False)
    cache_url: str = field(repr=False)

    bind: str
    port: int
    frontend_url: str
    allowed_hosts: tuple[str, ...]
    trust_proxy: bool
    metrics_token: str = field(repr=False)

    openai_api_key: str = field(repr=False)
    openai_assistant_id: str
    openai_base_url: str | None
    openai_protocol: str
    openai_model: str
    openai_webhook_secret: str = field(repr=False)

    run_timeout_seconds: int
    start_timeout_seconds: int
    polls_per_second: float
    call_slots: int
    max_runs_in_flight: int
    max_runs_per_user: int
    monthly_simulation_limit: int
    throttle_user: int
    throttle_token: int
    throttle_address: int
    throttle_submissions: int
    throttle_replays: int
    sign_in_failures: int
    sign_in_lockout_minutes: int
    session_hours: int
    session_idle_minutes: int

    ground_by_search: bool
    usage_currency: str

    retain_raw_answers_days: int
    retain_prompts_days: int
    retain_simulations_days: int
    retain_audit_days: int

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

    app_env = read("APP_ENV", to.one_of("development", "production", "test"), "development")
    production = app_env == "production"
    port = read("PORT", to.whole(1, 65535), "3001")
    frontend_url = read("FRONTEND_URL", to.origin, f"http://localhost:{port}")
    own_host = to.bracketed_host(urlsplit(frontend_url))
    own_hosts = own_host if production else f"{own_host},localhost,127.0.0.1,[::1]"
    broker_url = read("CELERY_BROKER_URL", to.broker, "memory://")
    has_redis = broker_url.startswith(("redis:", "rediss:"))
    other_server = "OPENAI_BASE_URL" in given  # whose keys and ids may have any shape

    environment = Environment(
        app_env=app_env,
        debug=read("DEBUG", to.boolean, "false"),
        log_level=read("LOG_LEVEL", to.one_of("DEBUG", "INFO", "WARNING", "ERROR"), "INFO"),
        database=read("DATABASE_URL", to.database_in(base_dir), "sqlite:///var/sitrep.sqlite3"),
        django_secret_key=read("DJANGO_SECRET_KEY", to.secret_key),
        celery_broker_url=broker_url,
        cache_url=read("CACHE_URL", to.cache, broker_url if has_redis else "memory://"),
        bind=read("BIND", to.ip_address, "127.0.0.1"),
        port=port,
        frontend_url=frontend_url,
        allowed_hosts=read("ALLOWED_HOSTS", to.hosts, own_hosts),
        trust_proxy=read("TRUST_PROXY", to.boolean, "false"),
        metrics_token=read("METRICS_TOKEN", metrics_token),
        openai_api_key=read(
            "OPENAI_API_KEY",
            to.token("" if other_server else "sk-", OPENAI_REMEDY.format("the key")),
        ),
        openai_assistant_id=read(
            "OPENAI_ASSISTANT_ID",
            to.token("" if other_server else "asst_", OPENAI_REMEDY.format("the assistant's id")),
        ),
        openai_base_url=read("OPENAI_BASE_URL", to.api_root),
        openai_protocol=read("OPENAI_PROTOCOL", to.one_of("responses", "assistants"), "responses"),
        openai_model=read("OPENAI_MODEL", str, "gpt-5.1"),
        openai_webhook_secret=read("OPENAI_WEBHOOK_SECRET", to.webhook_secret(WEBHOOK_REMEDY)),
        run_timeout_seconds=read("RUN_TIMEOUT_SECONDS", to.whole(1), "90"),
        start_timeout_seconds=read("START_TIMEOUT_SECONDS", to.whole(1), "600"),
        polls_per_second=read("POLLS_PER_SECOND", to.positive, "100"),
        call_slots=read("CALL_SLOTS", to.whole(1, 256), "16"),
        max_runs_in_flight=read("MAX_RUNS_IN_FLIGHT", to.whole(1), "300"),
        max_runs_per_user=read("MAX_RUNS_PER_USER", to.whole(1), "10"),
        monthly_simulation_limit=read("MONTHLY_SIMULATION_LIMIT", to.whole(0), "50"),
        throttle_user=read("THROTTLE_USER", to.whole(0), "1200"),
        throttle_token=read("THROTTLE_TOKEN", to.whole(0), "600"),
        throttle_address=read("THROTTLE_ADDRESS", to.whole(0), "60"),
        throttle_submissions=read("THROTTLE_SUBMISSIONS", to.whole(0), "60"),
        throttle_replays=read("THROTTLE_REPLAYS", to.whole(0), "120"),
        sign_in_failures=read("SIGN_IN_FAILURES", to.whole(1), "10"),
        sign_in_lockout_minutes=read("SIGN_IN_LOCKOUT_MINUTES", to.whole(1, 1440), "15"),
        session_hours=read("SESSION_HOURS", to.whole(1, 720), "12"),
        session_idle_minutes=read("SESSION_IDLE_MINUTES", to.whole(5, 1440), "60"),
        ground_by_search=read("GROUND_BY_SEARCH", to.boolean, "false"),
        usage_currency=read("USAGE_CURRENCY", to.currency, "USD"),
        retain_raw_answers_days=read("RETAIN_RAW_ANSWERS_DAYS", to.whole(0, TEN_YEARS), "0"),
        retain_prompts_days=read("RETAIN_PROMPTS_DAYS", to.whole(0, TEN_YEARS), "0"),
        retain_simulations_days=read("RETAIN_SIMULATIONS_DAYS", to.whole(0, TEN_YEARS), "0"),
        retain_audit_days=read("RETAIN_AUDIT_DAYS", to.whole(0, TEN_YEARS), "0"),
    )
    if production:
        problems += production_problems(environment, given)
    if problems:
        raise EnvironmentInvalid(problems)
    if not environment.django_secret_key:
        return replace(environment, django_secret_key=own_secret_key(base_dir))
    return environment


def metrics_token(text: str) -> str:
    if text and len(text) < METRICS_TOKEN_LENGTH:
        wrong = f"is {len(text)} characters long, shorter than {METRICS_TOKEN_LENGTH}"
        raise to.RejectedError(wrong, METRICS_REMEDY)
    return to.token("", METRICS_REMEDY)(text)


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
