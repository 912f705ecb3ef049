"""The admin site: grouped by what admins do, and in pages that count nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest


@dataclass(frozen=True)
class Group:
    """`models`: as app_label.ModelName; `links`: labels and names of pages beside them."""

    name: str
    label: str
    description: str
    models: Sequence[str]
    links: Sequence[tuple[str, str]] = ()


GROUPS = [
    Group(
        "Knowledge",
        "curate",
        "What answers are grounded in, and the keywords that bring it.",
        ["knowledge.Article", "knowledge.Keyword"],
        [("Curation health", "curation-health")],
    ),
    Group(
        "Answers",
        "answers",
        "Who answers, what is removed from answers, and questions on a schedule.",
        [
            *("simulations.Assistant", "simulations.AnswerRule", "simulations.RulesVersion"),
            "simulations.Agent",
        ],
    ),
    Group(
        "People",
        "people",
        "Who may do what, their tokens, and who did what.",
        ["accounts.User", "accounts.ApiToken", "accounts.FailedSignIn", "accounts.AuditEntry"],
    ),
    Group(
        "Operations",
        "operate",
        "What was asked, every run at the provider, what it costs, and what was erased.",
        ["simulations.Simulation", "simulations.Run", "simulations.Price", "simulations.Erasure"],
        [("Usage", "usage")],
    ),
]
# Of what an address may ask for; databases have their limits.
LAST_PAGE = 1_000_000

# For what is registered and in no group.
REST = Group("Everything else", "rest", "", [])


class SitrepAdminSite(admin.AdminSite):
    site_title = site_header = "Sitrep administration"
    index_title = "Administration"

    def get_app_list(
        self, request: HttpRequest, app_label: str | None = None
    ) -> list[dict[str, Any]]:
        """In groups instead of applications, but on the page of one application."""
        apps = super().get_app_list(request, app_label)
        if app_label:
            return apps
        found = {name_of(model): model for app in apps for model in app["models"]}
        shown = [
            as_app(group, [found.pop(name, None) for name in group.models]) for group in GROUPS
        ]
        return [app for app in [*shown, as_app(REST, list(found.values()))] if app["models"]]


def name_of(model: dict[str, Any]) -> str:
    return model["model"]._meta.label


def as_app(group: Group, models: Sequence[dict[str, Any] | None]) -> dict[str, Any]:
    """As Django's templates know an application; what a user may not see is None."""
    return {
        "name": group.name,
        "app_label": group.label,
        "app_url": "",
        "description": group.description,
        "links": group.links,
        "models": [model for model in models if model],
    }


class MoreThan(int):
    """A count of which only so much is known: of 101 is shown “100+”."""

    def __str__(self) -> str:
        return f"{int(self) - 1:,}+"


class UncountedPaginator(Paginator):
    """Knows of the pages up to the one that is asked for, and whether there is another.

    COUNT(*) reads all of a table; this reads the keys of one page.
    """

    def __init__(self, page: int, rows: QuerySet[Any], per_page: int) -> None:
        super().__init__(rows, per_page)
        self.page_asked_for = page

    @cached_property
    def count(self) -> int:
        start = (self.page_asked_for - 1) * self.per_page
        end = start + self.per_page
        keys = len(self.object_list.values("pk")[start : end + 1])
        return MoreThan(start + keys) if keys > self.per_page else start + keys


class NotEdited:
    """For the admin of what comes about elsewhere: it is looked at here, and may be deleted."""

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


class ReadOnly(NotEdited):
    """For what is not deleted here either."""

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


class LargeTable:
    """For the admin of a model that may have many rows."""

    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    list_max_show_all = 0

    def get_paginator(
        self, request: HttpRequest, queryset: QuerySet[Any], per_page: int, **kwargs: Any
    ) -> UncountedPaginator:
        """A list names its page `p`, the search box of another admin `page`."""
        page = request.GET.get("p") or request.GET.get("page", "")
        number = int(page) if page.isascii() and page.isdigit() else 1
        return UncountedPaginator(min(max(number, 1), LAST_PAGE), queryset, per_page)
