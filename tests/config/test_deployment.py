"""The files that deploy the product agree with it and with one another."""

import ast
import re
import runpy
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml

from config.env import EnvironmentInvalid, load
from scripts.service import WEB

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
NOT_SET_THERE = {"APP_ENV", "DEBUG", "BIND", "PORT", "DATABASE_URL", "CELERY_BROKER_URL"}
ONLY_THERE = {"POSTGRES_PASSWORD", "REDIS_PASSWORD"}


def names_in_example() -> set[str]:
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    pairs = (line.removeprefix("# ").partition("=") for line in lines)
    return {name for name, equals, _ in pairs if equals and name.isupper()}


def test_every_service_but_the_migration_has_a_health_check() -> None:
    services = COMPOSE["services"]
    assert set(services) == {"migrate", "web", "worker", "beat", "postgres", "redis"}
    assert {name for name, it in services.items() if "healthcheck" not in it} == {"migrate"}


APP_SERVICES = ["migrate", "web", "worker", "beat"]


def test_the_product_s_containers_can_do_little() -> None:
    for name in APP_SERVICES:
        service = COMPOSE["services"][name]
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert re.search(r"^USER \d+$", dockerfile, re.MULTILINE)
    assert "ports" not in COMPOSE["services"]["postgres"] | COMPOSE["services"]["redis"]
    assert COMPOSE["networks"]["back"] == {"internal": True}


def test_a_container_has_room_for_the_most_call_slots(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentInvalid) as caught:
        load({"CALL_SLOTS": "1000000"}, tmp_path)
    [most] = re.findall(r"from 1 to (\d+)", str(caught.value.problems[0]))
    for name in APP_SERVICES:
        assert COMPOSE["services"][name]["pids_limit"] > int(most), name


@pytest.mark.parametrize(
    ("environment", "place"),
    [
        ({}, "127.0.0.1:3001"),
        # A proxy on this machine: nobody else may write its headers.
        ({"FRONTEND_URL": "https://sitrep.example.com", "TRUST_PROXY": "true"}, "127.0.0.1:3001"),
        ({"BIND": "0.0.0.0", "PORT": "80"}, "0.0.0.0:80"),
        ({"BIND": "::"}, "[::]:3001"),
    ],
)
def test_the_site_listens_on_this_machine_unless_it_is_told_to(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], place: str
) -> None:
    for name, text in environment.items():
        monkeypatch.setenv(name, text)
    assert runpy.run_path(str(ROOT / "gunicorn.conf.py"))["bind"] == place
    procfile = (ROOT / "Procfile").read_text(encoding="utf-8")
    assert "--bind" not in procfile + " ".join(WEB)


def test_a_container_listens_on_all_of_its_addresses_and_this_machine_alone_reaches_it() -> None:
    assert "ENV BIND=0.0.0.0\n" in (ROOT / "Dockerfile").read_text(encoding="utf-8")
    [published] = COMPOSE["services"]["web"]["ports"]
    assert published.startswith("127.0.0.1:")


def test_images_are_pinned_to_a_version() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    images = re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)
    images += [COMPOSE["services"][name]["image"] for name in ("postgres", "redis")]
    for image in images:
        assert re.search(r":\d+\.\d+(\.\d+)?-", image), image


def test_the_image_holds_what_runs_and_no_history() -> None:
    left_out = set((ROOT / ".dockerignore").read_text(encoding="utf-8").split())
    assert {".git", ".venv", ".env", "var", "tests", "emulator", "scripts"} <= left_out


def test_dependencies_are_pinned_each_to_one_version() -> None:
    for path in [*ROOT.glob("requirements*.txt"), ROOT / "constraints.txt"]:
        for line in path.read_text(encoding="utf-8").splitlines():
            if line and not line.startswith(("#", "-r ")):
                assert re.match(r"[\w.-]+(\[[\w,]+\])?==[\w.]+( ;.*)?$", line), f"{path}: {line}"


def test_what_the_product_imports_is_a_requirement_of_its_own() -> None:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    named = {normal(re.split(r"[\[=]", line)[0]) for line in lines if not line.startswith("#")}
    distributions = packages_distributions()
    missing = {
        name
        for package in ["accounts", "config", "knowledge", "simulations", "emulator", "scripts"]
        for path in (ROOT / package).rglob("*.py")
        for name in imported(path)
        if name in distributions and named.isdisjoint(map(normal, distributions[name]))
    }
    assert missing == set()


def normal(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def imported(path: Path) -> Iterator[str]:
    """The top-level names of the modules that a module imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


def test_redis_refuses_rather_than_forgets_and_there_are_several_workers() -> None:
    command = " ".join(COMPOSE["services"]["redis"]["command"])
    assert "--maxmemory-policy noeviction" in command
    assert "--appendonly yes" in command
    assert COMPOSE["services"]["worker"]["deploy"]["replicas"] >= 2
    assert "deploy" not in COMPOSE["services"]["beat"]


def test_no_secret_has_a_default() -> None:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    for name in ("DJANGO_SECRET_KEY", "POSTGRES_PASSWORD", "REDIS_PASSWORD"):
        assert f"${{{name}:?" in text
        assert f"${{{name}:-" not in text
    assert "${OPENAI_API_KEY:-}" in text


def test_every_variable_reaches_the_containers() -> None:
    passed = set(COMPOSE["services"]["web"]["environment"])
    assert names_in_example() - passed - NOT_SET_THERE - ONLY_THERE == set()


def test_the_example_names_all_that_compose_reads() -> None:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    assert set(re.findall(r"\$\{(\w+)", text)) <= names_in_example()


def test_the_procfile_runs_the_same_commands_as_compose() -> None:
    procfile = dict(
        line.split(": ", 1) for line in (ROOT / "Procfile").read_text().strip().splitlines()
    )
    assert set(procfile) == {"web", "worker", "beat"}
    worker = [str(word) for word in COMPOSE["services"]["worker"]["command"]]
    assert procfile["worker"].split() == worker
