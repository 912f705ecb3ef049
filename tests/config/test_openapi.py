"""The API's description: complete, without gaps, and the one that is committed."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.renderers import OpenApiYamlRenderer
from drf_spectacular.validation import validate_schema

from accounts.models import User
from config.openapi_views import describe_api
from tests.conftest import ApiClient

ROOT = Path(__file__).resolve().parents[2]
COMMITTED = ROOT / "docs" / "openapi.yaml"
METHODS = {"get", "post", "put", "patch", "delete"}
# What answers with a page.
PAGES = {"/api/v1/docs"}


def addresses(resolver: URLResolver, prefix: str = "/") -> Iterator[str]:
    for part in resolver.url_patterns:
        path = prefix + str(part.pattern)
        if isinstance(part, URLPattern):
            yield re.sub(r"<\w+:pk>", "{id}", path).replace("<slug:slug>", "{slug}")
        else:
            yield from addresses(part, path)


def test_the_committed_description_is_what_the_code_says() -> None:
    GENERATOR_STATS.reset()
    described = describe_api.__wrapped__()
    assert not GENERATOR_STATS, "The description has gaps: see manage.py spectacular"
    validate_schema(described)
    assert OpenApiYamlRenderer().render(described).decode() == COMMITTED.read_text(), (
        "docs/openapi.yaml is out of date: run make openapi"
    )


def test_every_address_is_described() -> None:
    existing = {path for path in addresses(get_resolver()) if path.startswith("/api/")}
    assert existing - PAGES == set(describe_api()["paths"])


def texts(part: object) -> Iterator[str]:
    """All summaries and descriptions."""
    if isinstance(part, list):
        for item in part:
            yield from texts(item)
    if isinstance(part, dict):
        for name, value in part.items():
            if name in {"summary", "description"} and isinstance(value, str):
                yield value
            yield from texts(value)


def docstrings() -> Iterator[str]:
    """Of all classes and functions of the packages that make the API."""
    for path in (ROOT / name for name in ["config", "accounts", "knowledge", "simulations"]):
        for file in path.rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
                    yield " ".join(ast.get_docstring(node).split())


def test_no_docstring_is_a_description() -> None:
    """They are for who reads the code."""
    shown = {" ".join(text.split()) for text in texts(describe_api())}
    internal = set(docstrings())
    assert [text for text in shown if any(said in text for said in internal)] == []


def test_nouns_have_the_right_article() -> None:
    wrong = re.compile(r"\b(a [aeio]|an [^aeiouhx`])", re.IGNORECASE)
    assert [text for text in texts(describe_api()) if wrong.search(text)] == []


def test_every_operation_says_what_it_is_and_how_it_fails() -> None:
    for path, operations in describe_api()["paths"].items():
        for method in METHODS & operations.keys():
            operation = operations[method]
            assert operation["summary"], path
            assert {"400", "406", "429", "500", "503"} <= operation["responses"].keys(), path
            is_open = path == "/api/v1/auth/login"
            assert "403" in operation["responses"], path
            assert bool(operation.get("security")) != is_open, path


@pytest.mark.django_db
def test_it_is_served_to_whoever_is_signed_in(trainee: User) -> None:
    assert ApiClient().get("/api/v1/schema").status_code == 401
    served = ApiClient(trainee).get("/api/v1/schema")
    assert served.json() == describe_api()
    page = Client()
    assert page.get("/api/v1/docs").json()["error"] == "Unauthorized"
    page.force_login(trainee)
    shown = page.get("/api/v1/docs")
    assert shown.status_code == 200
    assert 'data-schema="/api/v1/schema"' in shown.text
