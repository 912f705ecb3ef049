"""What holds for every page of the table, as the server renders it."""

from collections.abc import Iterator, Sequence

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, URLResolver, resolve

from accounts.models import User
from config.urls import urlpatterns
from tests.pages.table import NOT_PAGES, PAGES, PageCase
from tests.pages.world import build_world

MAX_QUERIES = 11
# They ask for nothing.
TRANSACTIONS = ("SAVEPOINT", "RELEASE SAVEPOINT", "BEGIN", "COMMIT")
# The API has tests of its own, and the admin's URLs are Django's.
FOREIGN = ("api/v1/", "admin/")


def names_of(patterns: Sequence[URLPattern | URLResolver], namespace: str = "") -> Iterator[str]:
    for pattern in patterns:
        if str(pattern.pattern).startswith(FOREIGN):
            continue
        if isinstance(pattern, URLResolver):
            yield from names_of(pattern.url_patterns, f"{pattern.namespace}:")
        else:
            yield f"{namespace}{pattern.name}"


def clients() -> dict[str, Client]:
    found = {"": Client()}
    for user in User.objects.all():
        found[user.username] = Client()
        found[user.username].force_login(user)
    return found


def look(client: Client, page: PageCase) -> int:
    """How many queries the page took."""
    with CaptureQueriesContext(connection) as queries:
        response = client.get(page.path)
    assert response.status_code == page.status, page.name
    if page.user:
        way_out = "/admin/logout/" if page.is_admin else "/sign-out/"
        assert f'action="{way_out}"' in response.text, f"{page.name}: no way to sign out"
    return sum(not query["sql"].startswith(TRANSACTIONS) for query in queries)


@pytest.mark.django_db
def test_no_page_asks_the_database_often_and_each_lets_one_sign_out() -> None:
    build_world()
    signed_in = clients()
    counts = {page.name: look(signed_in[page.user], page) for page in PAGES}
    assert {name: count for name, count in counts.items() if count > MAX_QUERIES} == {}


def test_every_page_is_in_the_table() -> None:
    """One that is missing here wants a row in tests/pages/table.py."""
    shown = {resolve(page.path.partition("?")[0]).view_name for page in PAGES if page.status == 200}
    wanted = set(names_of(urlpatterns)) - NOT_PAGES
    assert wanted - shown == set()
