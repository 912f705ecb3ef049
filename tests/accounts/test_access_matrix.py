"""Who is answered what by every address of the site: a URL without a row here fails the suite.

A row is a method, the answers to each of the cast, and a URL pattern. An answer is a status, or
`in` for a redirect to the sign-in page. `ANY` stands for GET and, as far as they are allowed, for
the methods that have no row of their own; without it those must be refused. HEAD is answered like
GET. OPTIONS describes an address and looks at no object. Requests have no body unless BODIES has
one: 400 and 409 say that the door is open, and that there was nothing to be done.

For a new address, add its rows; if it names a new kind of object, add one to `make_objects`, owned
by the analyst. Fill in what the rules say, then see whether the site agrees.
"""

import json
import logging
import re
from collections.abc import Iterator
from itertools import product
from urllib.parse import urlencode

import pytest
from django.apps import apps
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.http import HttpResponse
from django.test import Client
from django.urls import URLResolver, get_resolver

from accounts.audit import AuditEntry
from accounts.models import ApiToken, FailedSignIn, User
from knowledge.models import Article, Keyword
from simulations import services
from simulations.models import Agent, AnswerRule, Assistant, Erasure, Price, RulesVersion, Run
from tests import services as test_services
from tests.conftest import ApiClient

# Trainee and planner, who is an ADMIN, have the module `simulations` alone. Analyst (whose objects
# are asked for), outsider and admin have all modules.
CAST = ["anonymous", "trainee", "analyst", "outsider", "planner", "admin"]
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
REFUSALS = {"in", "401", "403", "404", "405"}

TABLE = """
# method, then: anonymous, trainee, analyst, outsider, planner, admin
ANY    302 302 302 302 302 302 /
GET    200 200 200 200 200 200 healthz
GET     in 403 200 200 403 200 knowledge/
GET     in 403 200 200 403 200 knowledge/articles/<slug>/
GET     in 403 200 200 403 200 knowledge/articles/<slug>/reach/
GET     in 403 200 200 403 200 knowledge/preview/
POST    in 403 200 200 403 200 knowledge/preview/
GET    404 404 404 404 404 404 metrics
GET     in 200 200 200 200 200 account/export/
GET    503 503 503 503 503 503 readyz
GET     in 200 200 200 200 200 account/
POST    in 400 400 400 400 400 account/password/
POST    in 400 400 400 400 400 account/tokens/
POST    in 302 302 302 302 302 account/tokens/<pk>/revoke/
POST    in 302 302 302 302 302 account/sessions/<handle>/end/
GET     in 200 200 200 200 200 account/second-factor/
POST    in 400 400 400 400 400 account/second-factor/enrol/
POST    in 302 302 302 302 302 account/second-factor/codes/
POST    in 302 302 302 302 302 account/second-factor/remove/
GET     in  in  in  in   in  in sign-in/code/
POST    in  in  in  in   in  in sign-in/code/
GET     in  in  in  in   in  in sign-in/enrol/
POST    in  in  in  in   in  in sign-in/enrol/
GET    200 302 302 302 302 302 sign-in/
POST   200 302 302 302 302 302 sign-in/
PUT    200 302 302 302 302 302 sign-in/
PATCH  405 302 302 302 302 302 sign-in/
DELETE 405 302 302 302 302 302 sign-in/
POST    in  in  in  in   in  in sign-out/
GET     in 200 200 200 200 200 simulations/
GET     in 404 200 404 200 200 simulations/<pk>/
GET     in 404 404 404 404 404 simulations/<pk>/answer.md
POST    in 404 302 404 302 302 simulations/<pk>/cancel/
POST    in 404 400 404 404 404 simulations/<pk>/feedback/
GET     in 404 200 404 404 404 simulations/<pk>/follow-up/
POST   401 404 302 404 404 404 simulations/<pk>/follow-up/
GET     in 404 200 404 200 200 simulations/<pk>/manifest.json
GET     in 404 200 404 200 200 simulations/<pk>/manifest/
POST    in 404 302 404 404 404 simulations/<pk>/retry/
GET     in 404 200 404 200 200 simulations/<pk>/status/
GET     in 200 200 200 200 200 simulations/rows/
GET     in 200 200 200 200 200 simulations/new/
POST   401 302 302 302 302 302 simulations/new/
POST    in 200 200 200 200 200 simulations/new/sources/
POST   404 404 404 404 404 404 webhooks/openai/
GET     in 403 403 403 200 200 agents/
GET     in 200 200 200 200 200 usage/
GET     in 200 200 200 200 200 usage/by-<by>.csv
GET     in 403 403 403 200 200 agents/<pk>/
POST    in 403 403 403 302 302 agents/<pk>/run/

GET    401 403 403 403 200 200 api/v1/answer-rules
POST   401 403 403 403 400 400 api/v1/answer-rules
GET    401 403 403 403 200 200 api/v1/answer-rules/<pk>
PATCH  401 403 403 403 200 200 api/v1/answer-rules/<pk>
DELETE 401 403 403 403 204 204 api/v1/answer-rules/<pk>
POST   401 403 403 403 200 200 api/v1/answer-rules/preview
GET    401 200 200 200 200 200 api/v1/assistants
POST   400 400 400 400 400 400 api/v1/auth/login
GET    401 403 403 403 200 200 api/v1/agents
POST   401 403 403 403 400 400 api/v1/agents
GET    401 403 403 403 200 200 api/v1/agents/<pk>
PATCH  401 403 403 403 200 200 api/v1/agents/<pk>
DELETE 401 403 403 403 204 204 api/v1/agents/<pk>
POST   401 403 403 403 202 202 api/v1/agents/<pk>/run
GET    401 403 403 403 200 200 api/v1/agents/<pk>/runs
POST   401 204 204 204 204 204 api/v1/auth/logout
POST   401 204 204 204 204 204 api/v1/auth/logoutall
GET    401 200 200 200 200 200 api/v1/auth/tokens
POST   401 403 403 403 403 403 api/v1/auth/tokens
DELETE 401 404 204 404 404 404 api/v1/auth/tokens/<pk>
GET    401 403 200 200 403 200 api/v1/knowledge/articles
POST   401 403 403 403 403 400 api/v1/knowledge/articles
GET    401 403 200 200 403 200 api/v1/knowledge/articles/<slug>
PATCH  401 403 403 403 403 200 api/v1/knowledge/articles/<slug>
DELETE 401 403 403 403 403 204 api/v1/knowledge/articles/<slug>
GET    401 403 200 200 403 200 api/v1/knowledge/keywords
POST   401 403 403 403 403 400 api/v1/knowledge/keywords
GET    401 403 200 200 403 200 api/v1/knowledge/keywords/<pk>
PATCH  401 403 403 403 403 200 api/v1/knowledge/keywords/<pk>
DELETE 401 403 403 403 403 204 api/v1/knowledge/keywords/<pk>
POST   401 403 400 400 403 400 api/v1/knowledge/match
GET    401 403 400 400 403 400 api/v1/knowledge/search
GET    401 200 200 200 200 200 api/v1/docs
GET    401 200 200 200 200 200 api/v1/me
GET    401 200 200 200 200 200 api/v1/schema
GET    401 200 200 200 200 200 api/v1/simulations
POST   401 202 202 202 202 202 api/v1/simulations
GET    401 404 200 404 200 200 api/v1/simulations/<pk>
POST   401 404 200 404 200 200 api/v1/simulations/<pk>/cancel
POST   401 404 409 404 403 403 api/v1/simulations/<pk>/feedback
POST   401 404 202 404 403 403 api/v1/simulations/<pk>/follow-ups
GET    401 404 200 404 200 200 api/v1/simulations/<pk>/manifest
POST   401 404 409 404 403 403 api/v1/simulations/<pk>/retry

ANY     in  in  in  in 200 200 admin/
ANY     in  in  in  in 200 200 admin/<app_label>/
ANY     in  in  in  in 404 404 admin/<url>
ANY     in  in  in  in 200 200 admin/accounts/apitoken/
ANY     in  in  in  in 302 302 admin/accounts/apitoken/<object_id>/
POST    in  in  in  in 403 403 admin/accounts/apitoken/<object_id>/change/
ANY     in  in  in  in 200 200 admin/accounts/apitoken/<object_id>/change/
ANY     in  in  in  in 200 200 admin/accounts/apitoken/<object_id>/delete/
ANY     in  in  in  in 200 200 admin/accounts/apitoken/<object_id>/history/
ANY     in  in  in  in 403 403 admin/accounts/apitoken/add/
ANY     in  in  in  in 200 200 admin/accounts/auditentry/
ANY     in  in  in  in 302 302 admin/accounts/auditentry/<object_id>/
POST    in  in  in  in 403 403 admin/accounts/auditentry/<object_id>/change/
ANY     in  in  in  in 200 200 admin/accounts/auditentry/<object_id>/change/
ANY     in  in  in  in 403 403 admin/accounts/auditentry/<object_id>/delete/
ANY     in  in  in  in 200 200 admin/accounts/auditentry/<object_id>/history/
ANY     in  in  in  in 403 403 admin/accounts/auditentry/add/
ANY     in  in  in  in 200 200 admin/accounts/failedsignin/
ANY     in  in  in  in 302 302 admin/accounts/failedsignin/<object_id>/
POST    in  in  in  in 403 403 admin/accounts/failedsignin/<object_id>/change/
ANY     in  in  in  in 200 200 admin/accounts/failedsignin/<object_id>/change/
ANY     in  in  in  in 200 200 admin/accounts/failedsignin/<object_id>/delete/
ANY     in  in  in  in 200 200 admin/accounts/failedsignin/<object_id>/history/
ANY     in  in  in  in 403 403 admin/accounts/failedsignin/add/
ANY     in  in  in  in 200 200 admin/accounts/user/
ANY     in  in  in  in 200 200 admin/accounts/user/<id>/password/
ANY     in  in  in  in 302 302 admin/accounts/user/<object_id>/
ANY     in  in  in  in 200 200 admin/accounts/user/<object_id>/change/
ANY     in  in  in  in 200 200 admin/accounts/user/<object_id>/delete/
ANY     in  in  in  in 200 200 admin/accounts/user/<object_id>/history/
ANY     in  in  in  in 200 200 admin/accounts/user/add/
POST    in  in  in  in 400 400 admin/accounts/user/<pk>/erase/
ANY     in  in  in  in 200 200 admin/accounts/user/<pk>/erase/
ANY     in  in  in  in 403 403 admin/autocomplete/
GET     in  in  in  in 403 200 admin/curation/
GET     in  in  in  in 200 200 admin/jsi18n/
ANY     in  in  in  in 403 200 admin/knowledge/article/
ANY     in  in  in  in 302 302 admin/knowledge/article/<object_id>/
ANY     in  in  in  in 403 200 admin/knowledge/article/<object_id>/change/
ANY     in  in  in  in 403 200 admin/knowledge/article/<object_id>/delete/
GET     in  in  in  in 403 200 admin/knowledge/article/<object_id>/history/
ANY     in  in  in  in 403 200 admin/knowledge/article/<object_id>/history/<revision_id>/restore/
POST    in  in  in  in 403 302 admin/knowledge/article/<object_id>/history/<revision_id>/restore/
ANY     in  in  in  in 403 404 admin/knowledge/article/<object_id>/history/compare/
ANY     in  in  in  in 403 200 admin/knowledge/article/add/
ANY     in  in  in  in 403 200 admin/knowledge/article/export/
ANY     in  in  in  in 403 200 admin/knowledge/article/import/
POST    in  in  in  in 403 200 admin/knowledge/article/process_import/
ANY     in  in  in  in 405 405 admin/knowledge/article/process_import/
ANY     in  in  in  in 403 200 admin/knowledge/keyword/
ANY     in  in  in  in 302 302 admin/knowledge/keyword/<object_id>/
ANY     in  in  in  in 403 200 admin/knowledge/keyword/<object_id>/change/
ANY     in  in  in  in 403 200 admin/knowledge/keyword/<object_id>/delete/
GET     in  in  in  in 403 200 admin/knowledge/keyword/<object_id>/history/
ANY     in  in  in  in 403 200 admin/knowledge/keyword/<object_id>/history/<revision_id>/restore/
POST    in  in  in  in 403 302 admin/knowledge/keyword/<object_id>/history/<revision_id>/restore/
ANY     in  in  in  in 403 404 admin/knowledge/keyword/<object_id>/history/compare/
ANY     in  in  in  in 403 200 admin/knowledge/keyword/add/
ANY     in  in  in  in 403 200 admin/knowledge/keyword/export/
ANY     in  in  in  in 403 200 admin/knowledge/keyword/import/
POST    in  in  in  in 403 200 admin/knowledge/keyword/process_import/
ANY     in  in  in  in 405 405 admin/knowledge/keyword/process_import/
GET     in 403 403 403 302 302 admin/login/
POST   302 302 302 302   in  in admin/logout/
ANY    302 302 302 302 405 405 admin/logout/
ANY    302 302 302 302 302 302 admin/password_change/
GET     in  in  in  in 200 200 admin/password_change/done/
ANY     in  in  in  in 404 404 admin/r/<content_type_id>/<object_id>/
ANY     in  in  in  in 200 200 admin/simulations/agent/
ANY     in  in  in  in 302 302 admin/simulations/agent/<object_id>/
ANY     in  in  in  in 200 200 admin/simulations/agent/<object_id>/change/
ANY     in  in  in  in 200 200 admin/simulations/agent/<object_id>/delete/
ANY     in  in  in  in 200 200 admin/simulations/agent/<object_id>/history/
ANY     in  in  in  in 200 200 admin/simulations/agent/add/
ANY     in  in  in  in 200 200 admin/simulations/answerrule/
ANY     in  in  in  in 302 302 admin/simulations/answerrule/<object_id>/
ANY     in  in  in  in 200 200 admin/simulations/answerrule/<object_id>/change/
ANY     in  in  in  in 200 200 admin/simulations/answerrule/<object_id>/delete/
GET     in  in  in  in 200 200 admin/simulations/answerrule/<object_id>/history/
ANY     in  in  in  in 200 200 admin/simulations/answerrule/<object_id>/history/<revision_id>/restore/
POST    in  in  in  in 302 302 admin/simulations/answerrule/<object_id>/history/<revision_id>/restore/
ANY     in  in  in  in 404 404 admin/simulations/answerrule/<object_id>/history/compare/
ANY     in  in  in  in 200 200 admin/simulations/answerrule/add/
ANY     in  in  in  in 200 200 admin/simulations/answerrule/preview/
ANY     in  in  in  in 200 200 admin/simulations/assistant/
ANY     in  in  in  in 302 302 admin/simulations/assistant/<object_id>/
ANY     in  in  in  in 200 200 admin/simulations/assistant/<object_id>/change/
ANY     in  in  in  in 200 200 admin/simulations/assistant/<object_id>/delete/
GET     in  in  in  in 200 200 admin/simulations/assistant/<object_id>/history/
ANY     in  in  in  in 200 200 admin/simulations/assistant/<object_id>/history/<revision_id>/restore/
POST    in  in  in  in 302 302 admin/simulations/assistant/<object_id>/history/<revision_id>/restore/
ANY     in  in  in  in 404 404 admin/simulations/assistant/<object_id>/history/compare/
ANY     in  in  in  in 200 200 admin/simulations/assistant/add/
ANY     in  in  in  in 200 200 admin/simulations/price/
ANY     in  in  in  in 302 302 admin/simulations/price/<object_id>/
ANY     in  in  in  in 200 200 admin/simulations/price/<object_id>/change/
ANY     in  in  in  in 200 200 admin/simulations/price/<object_id>/delete/
ANY     in  in  in  in 200 200 admin/simulations/price/<object_id>/history/
ANY     in  in  in  in 200 200 admin/simulations/price/add/
ANY     in  in  in  in 200 200 admin/simulations/rulesversion/
ANY     in  in  in  in 302 302 admin/simulations/rulesversion/<object_id>/
POST    in  in  in  in 403 403 admin/simulations/rulesversion/<object_id>/change/
ANY     in  in  in  in 200 200 admin/simulations/rulesversion/<object_id>/change/
ANY     in  in  in  in 403 403 admin/simulations/rulesversion/<object_id>/delete/
ANY     in  in  in  in 200 200 admin/simulations/rulesversion/<object_id>/history/
ANY     in  in  in  in 403 403 admin/simulations/rulesversion/add/
ANY     in  in  in  in 200 200 admin/simulations/erasure/
ANY     in  in  in  in 302 302 admin/simulations/erasure/<object_id>/
POST    in  in  in  in 403 403 admin/simulations/erasure/<object_id>/change/
ANY     in  in  in  in 200 200 admin/simulations/erasure/<object_id>/change/
ANY     in  in  in  in 403 403 admin/simulations/erasure/<object_id>/delete/
ANY     in  in  in  in 200 200 admin/simulations/erasure/<object_id>/history/
ANY     in  in  in  in 403 403 admin/simulations/erasure/add/
ANY     in  in  in  in 200 200 admin/simulations/run/
ANY     in  in  in  in 302 302 admin/simulations/run/<object_id>/
POST    in  in  in  in 403 403 admin/simulations/run/<object_id>/change/
ANY     in  in  in  in 200 200 admin/simulations/run/<object_id>/change/
ANY     in  in  in  in 403 403 admin/simulations/run/<object_id>/delete/
ANY     in  in  in  in 200 200 admin/simulations/run/<object_id>/history/
ANY     in  in  in  in 403 403 admin/simulations/run/add/
ANY     in  in  in  in 200 200 admin/simulations/simulation/
ANY     in  in  in  in 302 302 admin/simulations/simulation/<object_id>/
POST    in  in  in  in 403 403 admin/simulations/simulation/<object_id>/change/
ANY     in  in  in  in 200 200 admin/simulations/simulation/<object_id>/change/
ANY     in  in  in  in 403 403 admin/simulations/simulation/<object_id>/delete/
ANY     in  in  in  in 200 200 admin/simulations/simulation/<object_id>/history/
ANY     in  in  in  in 403 403 admin/simulations/simulation/add/
"""  # noqa: E501


# What POST sends there, so that not only the form but the right to submit it is seen.
QUESTION = {"query": "Who checks the gate?"}
BODIES = {
    "api/v1/simulations": QUESTION,
    "api/v1/simulations/<pk>/follow-ups": QUESTION,
    "api/v1/simulations/<pk>/feedback": {"is_useful": True},
    "simulations/new/": QUESTION,
    "simulations/<pk>/follow-up/": QUESTION,
}


def read_table() -> dict[tuple[str, str], dict[str, str]]:
    """The answers by method and pattern."""
    rows = {}
    for line in TABLE.splitlines():
        if not line or line.startswith("#"):
            continue
        method, *answers, pattern = line.split()
        assert (method, pattern) not in rows, f"Two rows for {method} {pattern}"
        rows[method, pattern] = dict(zip(CAST, answers, strict=True))
    return rows


def patterns_of(resolver: URLResolver, prefix: str = "") -> Iterator[str]:
    for entry in resolver.url_patterns:
        pattern = prefix + simplify(str(entry.pattern))
        if isinstance(entry, URLResolver):
            yield from patterns_of(entry, pattern)
        else:
            yield pattern or "/"


def simplify(pattern: str) -> str:
    """Parameters as <name>, whether they are written as a path's or as a regular expression's."""
    pattern = re.sub(r"<\w+:", "<", pattern)
    return re.sub(r"\^?\(\?P(<\w+>)[^)]*\)", r"\1", pattern).rstrip("$")


ROWS = read_table()
PATTERNS = sorted(set(patterns_of(get_resolver())))


def make_objects(analyst: User) -> dict[str, str]:
    """For each parameter of a pattern, with enough of the path before it, what to ask for."""
    article = Article.objects.create(
        slug="gate-001", title="Gate", category="Testing", text="Text.", status="published"
    )
    keyword = Keyword.objects.create(phrase="gate", position=1)
    keyword.links.create(article=article, position=1)
    simulation = services.submit(analyst, "Who checks the gate?")
    run = Run.objects.create(simulation=simulation)
    assistant = Assistant.objects.get()
    rule, version = AnswerRule.objects.first(), RulesVersion.objects.get()
    token = ApiToken.objects.get(user=analyst)
    price = Price.objects.create(
        model="gpt-5.1", valid_from="2026-01-01", input_price=1, output_price=1
    )
    agent = Agent.objects.create(name="Gate watch", query="Who checks the gate?", owner=analyst)
    failed = FailedSignIn.objects.create(
        username="analyst", ip_address="192.0.2.1", failures_since_start=1
    )
    users = ContentType.objects.get_for_model(User)
    return {
        "simulations/<pk>": f"simulations/{simulation.pk}",
        "tokens/<pk>": f"tokens/{token.token_key}",
        "sessions/<handle>": "sessions/0123456789abcdef",
        "agents/<pk>": f"agents/{agent.pk}",
        "agent/<object_id>": f"agent/{agent.pk}",
        "articles/<slug>": f"articles/{article.slug}",
        "keywords/<pk>": f"keywords/{keyword.pk}",
        "usage/by-<by>": "usage/by-user",
        # The admin site's
        **{
            f"{name}/<object_id>/history/<revision_id>": (
                f"{name}/{item.pk}/history/{item.revisions.latest().pk}"
            )
            for name, item in [
                ("article", article),
                ("keyword", keyword),
                ("assistant", assistant),
                ("answerrule", rule),
            ]
        },
        "r/<content_type_id>/<object_id>": f"r/{users.pk}/{analyst.pk}",
        "failedsignin/<object_id>": f"failedsignin/{failed.pk}",
        "erasure/<object_id>": f"erasure/{Erasure.objects.create().pk}",
        "user/<pk>": f"user/{analyst.pk}",
        "user/<id>": f"user/{analyst.pk}",
        "user/<object_id>": f"user/{analyst.pk}",
        "auditentry/<object_id>": f"auditentry/{AuditEntry.objects.latest('pk').pk}",
        "apitoken/<object_id>": f"apitoken/{token.pk}",
        "article/<object_id>": f"article/{article.pk}",
        "keyword/<object_id>": f"keyword/{keyword.pk}",
        "answer-rules/<pk>": f"answer-rules/{rule.pk}",
        "answerrule/<object_id>": f"answerrule/{rule.pk}",
        "rulesversion/<object_id>": f"rulesversion/{version.pk}",
        "assistant/<object_id>": f"assistant/{assistant.pk}",
        "simulation/<object_id>": f"simulation/{simulation.pk}",
        "run/<object_id>": f"run/{run.pk}",
        "price/<object_id>": f"price/{price.pk}",
        "<app_label>": "accounts",
        "<url>": "nothing",
    }


class Visitor:
    """One of the cast, with a token for the API and a session for the pages."""

    def __init__(self, user: User | None) -> None:
        self.pages, self.api = Client(), ApiClient(user)
        self.pages.raise_request_exception = self.api.raise_request_exception = False
        if user:
            self.pages.force_login(user)
        self.cookies = self.pages.cookies.copy()

    def ask(self, method: str, path: str, body: dict[str, str] | None) -> str:
        """What is answered, as the table writes it; what the request changed is undone."""
        with transaction.atomic():
            response = self._send(method, path, body)
            transaction.set_rollback(True)
        location = response.headers.get("Location", "")
        is_sign_in = location.startswith(("/sign-in/", "/admin/login/"))
        return "in" if is_sign_in else str(response.status_code)

    def _send(self, method: str, path: str, body: dict[str, str] | None) -> HttpResponse:
        if path.startswith("/api/"):
            data, content_type = json.dumps(body), "application/json"
            client = self.api
        else:
            data, content_type = urlencode(body or {}), "application/x-www-form-urlencoded"
            client = self.pages
            client.cookies = self.cookies.copy()
        return client.generic(method, path, data if body else "", content_type)


def expected(method: str, pattern: str, name: str) -> set[str]:
    if row := ROWS.get((method, pattern)):
        return {row[name]}
    if method == "OPTIONS":
        return REFUSALS | {"200", "302"}
    if method == "HEAD":
        return expected("GET", pattern, name) | {"405"}
    if row := ROWS.get(("ANY", pattern)):
        return {row[name]} if method == "GET" else {row[name], "405"}
    return REFUSALS


def is_idle(method: str, pattern: str, name: str) -> bool:
    """The further methods of whom ANY lets in: the admin site answers them like GET, and slowly.

    On PostgreSQL all without a row: that a method is refused does not depend on the database.
    """
    if method == "GET" or (method, pattern) in ROWS:
        return False
    row = ROWS.get(("ANY", pattern))
    is_further = method != "POST" and row and row[name] not in REFUSALS
    return test_services.ON_POSTGRESQL or bool(is_further)


def part_of(pattern: str) -> str:
    """Of the table, for a test of its own; of the admin site one for each app."""
    root, *rest = pattern.split("/")
    if root != "admin":
        return root if root == "api" else "pages"
    return f"admin-{rest[0]}" if rest[0] in apps.app_configs else root


def test_every_url_has_its_rows() -> None:
    named = {pattern for _, pattern in ROWS}
    assert sorted(set(PATTERNS) - named) == [], "URLs without a row in TABLE"
    assert sorted(named - set(PATTERNS)) == [], "Rows in TABLE of URLs that are gone"


@pytest.fixture
def quiet() -> Iterator[None]:
    """Every refusal would be a line in the log."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.django_db
@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("part", sorted(set(map(part_of, PATTERNS))))
def test_everybody_is_answered_as_the_table_says(
    part: str, trainee: User, analyst: User, outsider: User, planner: User, admin: User
) -> None:
    cast = dict(zip(CAST, [None, trainee, analyst, outsider, planner, admin], strict=True))
    visitors = {name: Visitor(user) for name, user in cast.items()}
    objects = make_objects(analyst)
    surprises = []
    for pattern in PATTERNS:
        if part_of(pattern) != part:
            continue
        path = path_to(pattern, objects)
        for method, (name, visitor) in product(METHODS, visitors.items()):
            if is_idle(method, pattern, name):
                continue
            body = BODIES.get(pattern) if method == "POST" else None
            answer, right = visitor.ask(method, path, body), expected(method, pattern, name)
            if answer not in right:
                rule = " or ".join(sorted(right))
                surprises.append(f"{method} {pattern} as {name}: {answer}, not {rule}")
    assert not surprises, "\n".join(["", *surprises])


def path_to(pattern: str, objects: dict[str, str]) -> str:
    path = f"/{pattern}".replace("//", "/")
    for place, value in objects.items():
        path = path.replace(place, value)
    assert "<" not in path, f"make_objects has nothing to ask {path} for"
    return path
