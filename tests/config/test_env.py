import logging
import os
import re
import stat
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path

import pytest

from config.env import Environment, EnvironmentInvalid, load, load_or_exit

PROJECT = Path(__file__).parents[2]
KEY = "k" * 32
PRODUCTION = {
    "APP_ENV": "production",
    "DATABASE_URL": "postgres://sitrep:pw@db:5432/sitrep",
    "DJANGO_SECRET_KEY": KEY,
    "FRONTEND_URL": "https://sitrep.example.com",
}
VARIABLES = {
    "DATABASE_URL" if f.name == "database" else f.name.upper() for f in fields(Environment)
}


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tmp_path


def problems(source: Mapping[str, str], base: Path) -> dict[str, str]:
    with pytest.raises(EnvironmentInvalid) as caught:
        load(source, base)
    found = {problem.name: str(problem) for problem in caught.value.problems}
    assert len(found) == len(caught.value.problems), "a variable is named twice"
    return found


def test_an_empty_environment_gets_the_defaults(base):
    environment = load({}, base)
    assert len(environment.django_secret_key) >= 32
    assert {
        f.name: getattr(environment, f.name)
        for f in fields(environment)
        if f.name not in ("database", "django_secret_key")
    } == {
        "app_env": "development",
        "debug": False,
        "log_level": "INFO",
        "celery_broker_url": "memory://",
        "bind": "127.0.0.1",
        "port": 3001,
        "frontend_url": "http://localhost:3001",
        "allowed_hosts": ("localhost", "127.0.0.1", "[::1]"),
        "trust_proxy": False,
        "cache_url": "memory://",
        "throttle_user": 1200,
        "throttle_token": 600,
        "throttle_address": 60,
        "throttle_submissions": 60,
        "throttle_replays": 120,
        "sign_in_failures": 10,
        "sign_in_lockout_minutes": 15,
        "session_hours": 12,
        "session_idle_minutes": 60,
        "metrics_token": "",
        "openai_api_key": "",
        "openai_assistant_id": "",
        "openai_base_url": None,
        "openai_protocol": "responses",
        "openai_model": "gpt-5.1",
        "openai_webhook_secret": "",
        "run_timeout_seconds": 90,
        "start_timeout_seconds": 600,
        "polls_per_second": 100.0,
        "call_slots": 16,
        "max_runs_in_flight": 300,
        "max_runs_per_user": 10,
        "retain_raw_answers_days": 0,
        "retain_prompts_days": 0,
        "retain_simulations_days": 0,
        "retain_audit_days": 0,
        "monthly_simulation_limit": 50,
        "ground_by_search": False,
        "usage_currency": "USD",
    }
    assert environment.database["ENGINE"] == "django.db.backends.sqlite3"
    assert environment.database["NAME"] == str(base / "var" / "sitrep.sqlite3")


@pytest.mark.parametrize("blank", ["", "   ", "\t"])
def test_blank_is_unset_for_every_variable(base, blank):
    assert load(dict.fromkeys(VARIABLES, blank), base) == load({}, base)


@pytest.mark.parametrize("name", ["DATABASE_URL", "DJANGO_SECRET_KEY", "FRONTEND_URL"])
def test_blank_is_unset_in_production_too(base, name):
    assert problems(PRODUCTION | {name: " "}, base).keys() == {name}


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("APP_ENV", "test", "test"),
        ("APP_ENV", "  test ", "test"),
        ("DEBUG", "true", True),
        ("DEBUG", "Yes", True),
        ("DEBUG", "0", False),
        ("TRUST_PROXY", "on", True),
        ("TRUST_PROXY", "off", False),
        ("METRICS_TOKEN", "m" * 16, "m" * 16),
        ("BIND", "0.0.0.0", "0.0.0.0"),
        ("BIND", "::1", "::1"),
        ("PORT", "1", 1),
        ("PORT", "65535", 65535),
        ("DJANGO_SECRET_KEY", KEY, KEY),
        ("DJANGO_SECRET_KEY", "$" + KEY, "$" + KEY),
        ("FRONTEND_URL", "https://Sitrep.Example.com:443/", "https://sitrep.example.com"),
        ("FRONTEND_URL", "http://10.0.0.1:80", "http://10.0.0.1"),
        ("FRONTEND_URL", "http://[::1]:3001/", "http://[::1]:3001"),
        ("ALLOWED_HOSTS", "A.example, .b.example,,[::1],", ("a.example", ".b.example", "[::1]")),
        ("ALLOWED_HOSTS", "*", ("*",)),
        ("OPENAI_API_KEY", "sk-abc", "sk-abc"),
        ("OPENAI_ASSISTANT_ID", "asst_1", "asst_1"),
        ("OPENAI_BASE_URL", "https://llm.example/v1/", "https://llm.example/v1"),
        ("OPENAI_BASE_URL", "http://127.8.9.1:9000/v1", "http://127.8.9.1:9000/v1"),
        ("OPENAI_BASE_URL", "http://[::1]:9000/v1", "http://[::1]:9000/v1"),
        ("OPENAI_BASE_URL", "http://localhost:9000", "http://localhost:9000"),
        ("OPENAI_PROTOCOL", "assistants", "assistants"),
        ("OPENAI_MODEL", "gpt-6", "gpt-6"),
        ("OPENAI_WEBHOOK_SECRET", "whsec_MQ==", "whsec_MQ=="),
        ("CELERY_BROKER_URL", "redis://:p%23w@redis_1:6379/0", "redis://:p%23w@redis_1:6379/0"),
        ("CELERY_BROKER_URL", "rediss://redis/0", "rediss://redis/0"),
        ("CACHE_URL", "redis://:p%23w@redis_1:6379/1", "redis://:p%23w@redis_1:6379/1"),
        ("CACHE_URL", "memory://", "memory://"),
        ("THROTTLE_USER", "0", 0),
        ("CELERY_BROKER_URL", "amqp://u:p@rabbit//", "amqp://u:p@rabbit//"),
        ("RUN_TIMEOUT_SECONDS", "1", 1),
        ("START_TIMEOUT_SECONDS", "1", 1),
        ("POLLS_PER_SECOND", "0.5", 0.5),
        ("POLLS_PER_SECOND", "1e3", 1000.0),
        ("CALL_SLOTS", "256", 256),
        ("MONTHLY_SIMULATION_LIMIT", "0", 0),
        ("GROUND_BY_SEARCH", "true", True),
        ("USAGE_CURRENCY", "EUR", "EUR"),
        ("LOG_LEVEL", "WARNING", "WARNING"),
    ],
)
def test_a_good_value_is_read(base, name, text, value):
    assert getattr(load({name: text}, base), name.lower()) == value


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("APP_ENV", "prod", "development, production, test"),
        ("DEBUG", "maybe", "true or false"),
        ("DEBUG", "2", "true or false"),
        ("TRUST_PROXY", "ture", "true or false"),
        ("METRICS_TOKEN", "hunter2" * 2, "is 14 characters long, shorter than 16"),
        ("METRICS_TOKEN", "hunter2 " * 3, "has a space"),
        ("BIND", "0.0.0.0:3001", "not an IP address"),
        ("BIND", "sitrep.example.com", "not an IP address"),
        ("PORT", "abc", "not a whole number"),
        ("PORT", "1.5", "not a whole number"),
        ("PORT", "0", "from 1 to 65535"),
        ("PORT", "65536", "from 1 to 65535"),
        ("DATABASE_URL", "mysql://u:hunter2@h/db", "neither a PostgreSQL nor an SQLite URL"),
        ("DATABASE_URL", "sitrep.sqlite3", "neither a PostgreSQL nor an SQLite URL"),
        ("DATABASE_URL", "postgres://u:hunter2@h", "names a database"),
        ("DATABASE_URL", "postgres://u:hunter2/x@h/db", "percent-encoded"),
        ("DATABASE_URL", "postgres://u:hunter2@h:99999/db", "names a database"),
        ("DATABASE_URL", "sqlite://sitrep.sqlite3", "too few slashes"),
        ("DATABASE_URL", "sqlite:///", "names a database"),
        ("DATABASE_URL", "sqlite:///?timeout=5", "names a database"),
        ("DJANGO_SECRET_KEY", "hunter2-hunter2", "is 15 characters long, shorter than 32"),
        ("DJANGO_SECRET_KEY", "h" * 31, "is 31 characters long, shorter than 32"),
        ("FRONTEND_URL", "sitrep.example.com", "not a valid http or https URL"),
        ("FRONTEND_URL", "ftp://sitrep.example.com", "not a valid http or https URL"),
        ("FRONTEND_URL", "https://", "not a valid http or https URL"),
        ("FRONTEND_URL", "https://sitrep.example.com # ours", "not a valid http or https URL"),
        ("FRONTEND_URL", "https://sitrep.example.com:x", "not a valid http or https URL"),
        ("FRONTEND_URL", "https://sitrep.example.com/app", "more than a scheme"),
        ("FRONTEND_URL", "https://sitrep.example.com?a=1", "more than a scheme"),
        ("FRONTEND_URL", "https://sitrep.example.com#a", "more than a scheme"),
        ("FRONTEND_URL", "https://u:hunter2@sitrep.example.com", "more than a scheme"),
        ("FRONTEND_URL", "https://*.example.com", "no valid host name"),
        ("ALLOWED_HOSTS", "ok.example,https://a.example", "in place 2"),
        ("ALLOWED_HOSTS", "a.example:8000", "in place 1"),
        ("ALLOWED_HOSTS", " , ", "names no host"),
        ("OPENAI_API_KEY", "hunter2", 'does not start with "sk-"'),
        ("OPENAI_API_KEY", "sk-hunter2 # mine", "has a space"),
        ("OPENAI_ASSISTANT_ID", "hunter2", 'does not start with "asst_"'),
        ("OPENAI_BASE_URL", "llm.example/v1", "not a valid http or https URL"),
        ("OPENAI_BASE_URL", "http://llm.example/v1", "unencrypted"),
        ("OPENAI_BASE_URL", "http://127.0.0.1.llm.example/v1", "unencrypted"),
        ("OPENAI_BASE_URL", "http://128.0.0.1/v1", "unencrypted"),
        ("OPENAI_BASE_URL", "http://10.0.0.1/v1", "unencrypted"),
        ("OPENAI_BASE_URL", "https://u:hunter2@llm.example/v1", "has a login"),
        ("OPENAI_BASE_URL", "https://llm.example/v1?key=hunter2", "has a login, a query"),
        ("OPENAI_PROTOCOL", "chat", "responses, assistants"),
        ("OPENAI_WEBHOOK_SECRET", "whsec_1", 'is not base64 after "whsec_"'),
        ("OPENAI_WEBHOOK_SECRET", "hunter2", 'does not start with "whsec_"'),
        ("CELERY_BROKER_URL", "sqs://", "not a valid redis or rediss or amqp URL"),
        ("CELERY_BROKER_URL", "redis://:6379/0", "not a valid redis or rediss or amqp URL"),
        ("CELERY_BROKER_URL", "redis://:hunter2#x@h/0", "percent-encoded"),
        ("RUN_TIMEOUT_SECONDS", "0", "from 1 to"),
        ("RUN_TIMEOUT_SECONDS", "9999999999", "from 1 to 2147483647"),
        ("START_TIMEOUT_SECONDS", "-1", "from 1 to"),
        ("POLLS_PER_SECOND", "0", "not a number above 0"),
        ("POLLS_PER_SECOND", "fast", "not a number above 0"),
        ("POLLS_PER_SECOND", "inf", "not a number above 0"),
        ("POLLS_PER_SECOND", "nan", "not a number above 0"),
        ("CALL_SLOTS", "0", "from 1 to 256"),
        ("CALL_SLOTS", "257", "from 1 to 256"),
        ("MONTHLY_SIMULATION_LIMIT", "-1", "from 0 to"),
        ("USAGE_CURRENCY", "euro", "three capital letters"),
        ("LOG_LEVEL", "LOUD", "DEBUG, INFO, WARNING, ERROR"),
    ],
)
def test_a_bad_value_is_refused_by_name(base, name, text, words):
    found = problems({name: text}, base)
    assert found.keys() == {name}
    assert words in found[name]
    assert "hunter2" not in found[name]
    assert not (base / "var").exists()


def test_a_problem_tells_name_wrong_and_remedy(base):
    assert problems({"OPENAI_API_KEY": "key"}, base)["OPENAI_API_KEY"] == (
        'OPENAI_API_KEY: does not start with "sk-". Copy the key from your provider\'s dashboard, '
        "leave it empty to run without an assistant, or set OPENAI_BASE_URL for another server."
    )


def test_all_problems_at_once(base):
    wrong = {
        "APP_ENV": "production",
        "DEBUG": "true",
        "PORT": "abc",
        "FRONTEND_URL": "http://sitrep.example.com",
        "ALLOWED_HOSTS": "*",
        "OPENAI_API_KEY": "x",
        "CALL_SLOTS": "0",
    }
    missing = {"DATABASE_URL", "DJANGO_SECRET_KEY"}
    assert problems(wrong, base).keys() == (wrong.keys() - {"APP_ENV"}) | missing


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "postgres://u:p%23w@h:5432/db?sslmode=require",
            {"USER": "u", "PASSWORD": "p#w", "HOST": "h", "PORT": 5432, "NAME": "db"}
            | {"ENGINE": "django.db.backends.postgresql", "OPTIONS": {"sslmode": "require"}},
        ),
        ("postgresql://h/db", {"ENGINE": "django.db.backends.postgresql", "HOST": "h"}),
        ("sqlite:////data/x.db", {"ENGINE": "django.db.backends.sqlite3", "NAME": "/data/x.db"}),
        ("sqlite://:memory:", {"NAME": ":memory:"}),
        ("sqlite:///:memory:", {"NAME": ":memory:"}),
    ],
)
def test_a_database_url_names_the_database(base, url, expected):
    database = load({"DATABASE_URL": url}, base).database
    assert {key: database.get(key) for key in expected} == expected
    assert "OPTIONS" in expected or "OPTIONS" not in database


def test_relative_database_is_below_the_project(base):
    odd = base / "a+b #1 100%"
    assert load({"DATABASE_URL": "sqlite:///x.db"}, odd).database["NAME"] == str(odd / "x.db")


def test_frontend_url_follows_the_port(base):
    assert load({"PORT": "80"}, base).frontend_url == "http://localhost"
    assert load({"PORT": "8000"}, base).frontend_url == "http://localhost:8000"


@pytest.mark.parametrize(
    ("url", "host"),
    [("https://sitrep.example.com:8443", "sitrep.example.com"), ("http://[::1]:3001", "[::1]")],
)
def test_allowed_hosts_follow_the_frontend_url(base, url, host):
    assert load(PRODUCTION | {"FRONTEND_URL": url}, base).allowed_hosts == (host,)
    local = load({"FRONTEND_URL": url}, base).allowed_hosts
    assert set(local) == {host, "localhost", "127.0.0.1", "[::1]"}


def test_production_starts_with_what_it_needs(base):
    environment = load(PRODUCTION, base)
    assert environment.django_secret_key == KEY
    assert environment.celery_broker_url == "memory://"
    assert not (base / "var").exists()


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("DEBUG", "true", "is on in production"),
        ("DATABASE_URL", "", "is not set, which production needs"),
        ("DJANGO_SECRET_KEY", "", "is not set, which production needs"),
        ("FRONTEND_URL", "", "is not set, which production needs"),
        ("FRONTEND_URL", "http://sitrep.example.com", "is not https"),
        ("FRONTEND_URL", "http://127.0.0.1.example.com", "is not https"),
        ("ALLOWED_HOSTS", "a.example,*", "lets every host in"),
    ],
)
def test_refused_in_production(base, name, text, words):
    found = problems(PRODUCTION | {name: text}, base)
    assert found.keys() == {name}
    assert words in found[name]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("DATABASE_URL", "sqlite:////data/sitrep.sqlite3"),
        ("FRONTEND_URL", "http://localhost:3001"),
        ("FRONTEND_URL", "http://127.0.0.2"),
        ("FRONTEND_URL", "http://[::1]"),
        ("CELERY_BROKER_URL", "memory://"),
    ],
)
def test_accepted_in_production(base, name, text):
    load(PRODUCTION | {name: text}, base)


def test_another_server_has_its_own_keys_and_ids(base):
    source = {
        "OPENAI_BASE_URL": "http://localhost:9000/v1",
        "OPENAI_API_KEY": "emulator",
        "OPENAI_ASSISTANT_ID": "sitrep",
    }
    environment = load(source, base)
    assert (environment.openai_api_key, environment.openai_assistant_id) == ("emulator", "sitrep")


@pytest.mark.parametrize(
    ("source", "configured"),
    [
        ({}, False),
        ({"OPENAI_API_KEY": "sk-1"}, True),
        ({"OPENAI_ASSISTANT_ID": "asst_1"}, False),
        ({"OPENAI_API_KEY": "sk-1", "OPENAI_PROTOCOL": "assistants"}, False),
        ({"OPENAI_ASSISTANT_ID": "asst_1", "OPENAI_PROTOCOL": "assistants"}, False),
        (
            {"OPENAI_API_KEY": "sk-1", "OPENAI_ASSISTANT_ID": "asst_1"}
            | {"OPENAI_PROTOCOL": "assistants"},
            True,
        ),
    ],
)
def test_key_and_id_configure_a_protocol(base, source, configured):
    assert load(source, base).openai_configured is configured


def test_secrets_are_not_in_the_repr(base):
    source = {
        "DATABASE_URL": "postgres://u:hunter2@h/db",
        "DJANGO_SECRET_KEY": "hunter2" * 5,
        "CELERY_BROKER_URL": "redis://:hunter2@h/0",
        "OPENAI_API_KEY": "sk-hunter2",
        "OPENAI_WEBHOOK_SECRET": "whsec_hunter2=",
        "METRICS_TOKEN": "hunter2" * 3,
    }
    assert "hunter2" not in repr(load(source, base))


# --- The secret key made by itself


def test_secret_key_is_made_once(base):
    first = load({}, base).django_secret_key
    path = base / "var" / "secret_key"
    assert path.read_text() == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load({"APP_ENV": "test"}, base).django_secret_key == first
    assert list(path.parent.iterdir()) == [path]


def test_secret_key_of_the_environment_leaves_no_file(base):
    load({"DJANGO_SECRET_KEY": KEY}, base)
    assert not (base / "var").exists()


def test_unusable_secret_key_file(base):
    path = base / "var" / "secret_key"
    path.parent.mkdir()
    path.write_text("hunter2\n")
    found = problems({}, base)["DJANGO_SECRET_KEY"]
    assert "is 7 characters long" in found
    assert "hunter2" not in found
    path.unlink()
    path.mkdir()
    assert "IsADirectoryError" in problems({}, base)["DJANGO_SECRET_KEY"]


def test_key_of_a_faster_process_is_used(base, monkeypatch):
    first = load({}, base).django_secret_key
    monkeypatch.setattr(Path, "exists", lambda path: False)  # as it was a moment ago
    assert load({}, base).django_secret_key == first


def test_processes_that_start_at_once_agree_on_the_key(base):
    code = (
        "import sys, time; from pathlib import Path; from config.env import load\n"
        "base, together = Path(sys.argv[1]), float(sys.argv[2])\n"
        "time.sleep(max(0, together - time.time()))\n"
        "for n in range(100): print(load({}, base / str(n)).django_secret_key)"
    )
    together = str(time.time() + 2)
    with ThreadPoolExecutor(8) as pool:
        runs = pool.map(lambda _: run_python(code, str(base), together, env={}), range(8))
        keys = {run.stdout for run in runs}
    assert len(keys) == 1
    assert len(set(keys.pop().split())) == 100


# --- The file


@pytest.fixture
def real(monkeypatch) -> pytest.MonkeyPatch:
    """The process environment without any of our variables."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_without_a_file_there_are_the_defaults(base, real):
    assert load_or_exit(base).port == 3001


def test_environment_wins_over_the_file(base, real):
    (base / ".env").write_text("PORT=4000\nOPENAI_MODEL=file\n")
    real.setenv("PORT", "5000")
    environment = load_or_exit(base)
    assert (environment.port, environment.openai_model) == (5000, "file")
    assert "OPENAI_MODEL" not in os.environ


def test_blank_in_the_environment_leaves_it_to_the_file(base, real):
    (base / ".env").write_text("PORT=4000\n")
    real.setenv("PORT", " ")
    assert load_or_exit(base).port == 4000


def test_file_is_not_read_in_tests(base, real):
    (base / ".env").write_text("PORT=4000\nnot a line\n")
    real.setenv("APP_ENV", "test")
    assert load_or_exit(base).port == 3001


@pytest.mark.parametrize(
    ("line", "model"),
    [
        ("OPENAI_MODEL=a", "a"),
        ("OPENAI_MODEL=a#b", "a#b"),
        ("OPENAI_MODEL=a # b", "a"),
        ("OPENAI_MODEL= # b", "gpt-5.1"),
        ("OPENAI_MODEL=", "gpt-5.1"),
        ("OPENAI_MODEL=''", "gpt-5.1"),
        ("OPENAI_MODEL = a", "a"),
        ("export OPENAI_MODEL=a", "a"),
        ('OPENAI_MODEL="a # b"', "a # b"),
        ("OPENAI_MODEL='a # b' # c", "a # b"),
        (r'OPENAI_MODEL="a\"b"', 'a"b'),
        ("OPENAI_MODEL=a=b", "a=b"),
        ("OPENAI_MODEL=$PATH", "$PATH"),
        ("\ufeffOPENAI_MODEL=a", "a"),
        ("OPENAI_MODEL=a\r", "a"),
        ("# a comment\n  # another\n\nOPENAI_MODEL=a", "a"),
    ],
)
def test_lines_of_the_file(base, real, line, model):
    (base / ".env").write_text(line + "\n")
    assert load_or_exit(base).openai_model == model


def test_bad_lines_of_the_file(base, real, capsys, caplog):
    caplog.set_level(logging.DEBUG)
    lines = ["PORT=abc", "sk-hunter2", 'OPENAI_API_KEY="sk-hunter2', "OPENAI_MODEL=#hunter2"]
    (base / ".env").write_text("\n".join(lines))
    with pytest.raises(SystemExit) as caught:
        load_or_exit(base)
    assert caught.value.code == 1
    told = capsys.readouterr().err
    for words in ("line 2: ", "line 3: ", "line 4: ", "PORT: "):
        assert words in told
    assert "line 1" not in told
    assert "hunter2" not in told + caplog.text


@pytest.mark.parametrize("make", [Path.mkdir, lambda path: path.write_bytes(b"PORT=\xff")])
def test_an_unreadable_file_is_named(base, real, capsys, make):
    make(base / ".env")
    with pytest.raises(SystemExit):
        load_or_exit(base)
    assert "/.env: cannot be read (" in capsys.readouterr().err


def run_python(code: str, *args: str, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *args],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT), **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_exit_tells_all_names_and_no_secret(base):
    wrong = {
        "APP_ENV": "production",
        "DEBUG": "true",
        "PORT": "abc",
        "DATABASE_URL": "postgres://u:hunter2/x@h/db",
        "DJANGO_SECRET_KEY": "hunter2",
        "CELERY_BROKER_URL": "redis://:hunter2#x@h/0",
        "OPENAI_API_KEY": "hunter2",
        "OPENAI_WEBHOOK_SECRET": "hunter2",
    }
    (base / ".env").write_text("OPENAI_PROTOCOL=chat\n")
    code = "from pathlib import Path; from config.env import load_or_exit; load_or_exit(Path('.'))"
    process = run_python(f"import os; os.chdir({str(base)!r}); {code}", env=wrong)
    assert process.returncode == 1
    assert process.stdout == ""
    assert "Traceback" not in process.stderr
    assert "hunter2" not in process.stderr
    told = re.findall(r"^ +(\w+): .+\. .+\.$", process.stderr, re.MULTILINE)
    expected = (wrong.keys() - {"APP_ENV"}) | {"FRONTEND_URL", "OPENAI_PROTOCOL"}
    assert sorted(told) == sorted(expected)
    assert len(process.stderr.splitlines()) == 1 + len(expected)


# --- The example


def test_example_names_every_variable():
    named = re.findall(r"^(\w+)=", (PROJECT / ".env.example").read_text(), re.MULTILINE)
    assert sorted(named) == sorted([*VARIABLES, "POSTGRES_PASSWORD", "REDIS_PASSWORD"])


def test_example_shows_the_defaults(base, real):
    (base / ".env").write_text((PROJECT / ".env.example").read_text())
    assert load_or_exit(base) == load({}, base)
