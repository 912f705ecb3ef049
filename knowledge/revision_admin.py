"""History pages in the admin: what changed, when and by whom, and the way back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.paginator import Page, Paginator
from django.db import models, transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import URLPattern, path
from django.utils.decorators import method_decorator
from django.utils.text import capfirst
from django.views.decorators.http import require_http_methods, require_safe
from simple_history.models import HistoricalChanges

from knowledge.diffing import Line, Piece, diff_lines, diff_words


@dataclass(frozen=True)
class FieldChange:
    """`lines` for long texts; for all others what was there before and after."""

    label: str
    lines: Sequence[Line] = ()
    old: Sequence[Piece] = ()
    new: Sequence[Piece] = ()


@dataclass(frozen=True)
class Entry:
    """A revision, its number among its object's, and what it changed in the one before it."""

    revision: HistoricalChanges
    number: int
    before: HistoricalChanges | None = None
    changed: Sequence[str] = ()


@dataclass(frozen=True)
class RelatedChange:
    """A revision of something that belongs to the object, in words."""

    revision: HistoricalChanges
    description: str


class RevisionAdmin(admin.ModelAdmin):
    """The admin of a model with `revisions`.

    `restored_fields` are those that restoring a revision sets back.
    """

    restored_fields: Sequence[str] = ()
    revisions_per_page = 30

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        name = f"{self.opts.app_label}_{self.opts.model_name}"
        return [
            path("<path:object_id>/history/compare/", view(self.compare_view), name=f"{name}_diff"),
            path(
                "<path:object_id>/history/<int:revision_id>/restore/",
                view(self.restore_view),
                name=f"{name}_restore",
            ),
            *super().get_urls(),
        ]

    @method_decorator(require_safe)
    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        item = self.find(request, object_id)
        revisions = item.revisions.select_related("history_user")
        page = Paginator(revisions, self.revisions_per_page).get_page(request.GET.get("p"))
        context = {
            "title": f"History of {item}",
            "page": page,
            "entries": entries_of(page, revisions),
            "related": self.related_changes(item),
        }
        return self.show(request, "history", item, context | (extra_context or {}))

    def related_changes(self, item: models.Model) -> Sequence[RelatedChange]:
        """The latest first, to be listed below its own."""
        return []

    @method_decorator(require_safe)
    def compare_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Of two revisions, `from` and `to`, the older one comes first whichever is which."""
        item = self.find(request, object_id)
        chosen = [find_entry(item, request.GET.get(name, "")) for name in ("from", "to")]
        old, new = sorted(chosen, key=lambda entry: entry.number)
        context = {
            "title": f"Revisions {old.number} and {new.number}",
            "compared": [old, new],
            "changes": changes_between(old.revision, new.revision),
            "is_latest": new.revision == item.revisions.latest(),
        }
        return self.show(request, "compare", item, context)

    @method_decorator(require_http_methods(["GET", "HEAD", "POST"]))
    def restore_view(self, request: HttpRequest, object_id: str, revision_id: int) -> HttpResponse:
        item = self.find(request, object_id)
        if not self.has_change_permission(request, item):
            raise PermissionDenied
        entry, latest = find_entry(item, str(revision_id)), item.revisions.latest()
        if request.method == "POST":
            return self.restore(request, item, entry, seen=request.POST.get("latest", ""))
        fields = changed_fields(latest, entry.revision)
        restored = [field for field in fields if field.name in self.restored_fields]
        context = {
            "title": f"Restore revision {entry.number}?",
            "entry": entry,
            "latest": latest,
            "changes": [describe_change(field, latest, entry.revision) for field in restored],
            "kept": [label_of(field) for field in fields if field not in restored],
        }
        return self.show(request, "restore", item, context)

    def restore(
        self, request: HttpRequest, item: models.Model, entry: Entry, *, seen: str
    ) -> HttpResponse:
        """A new revision with the old content, unless somebody made another one meanwhile."""
        with transaction.atomic():
            item = type(item).objects.select_for_update().get(pk=item.pk)
            if seen != str(item.revisions.latest().pk):
                messages.error(request, "It was changed meanwhile. Look at the changes again.")
                return HttpResponseRedirect(request.path)
            for name in self.restored_fields:
                setattr(item, name, getattr(entry.revision, name))
            item._change_reason = f"Restored revision {entry.number}"
            try:
                item.full_clean()
            except ValidationError as error:
                messages.error(request, f"It can't be restored: {' '.join(error.messages)}")
                return HttpResponseRedirect(request.path)
            item.save()
        self.log_change(request, item, item._change_reason)
        messages.success(request, f"Revision {entry.number} is restored.")
        return redirect(f"admin:{self.opts.app_label}_{self.opts.model_name}_history", item.pk)

    def find(self, request: HttpRequest, object_id: str) -> models.Model:
        item = self.get_object(request, unquote(object_id))
        if item is None:
            raise Http404
        if not self.has_view_or_change_permission(request, item):
            raise PermissionDenied
        return item

    def show(
        self, request: HttpRequest, page: str, item: models.Model, context: dict[str, Any]
    ) -> HttpResponse:
        request.current_app = self.admin_site.name
        context |= self.admin_site.each_context(request)
        context |= {
            "item": item,
            "opts": self.opts,
            "name": f"{self.opts.app_label}_{self.opts.model_name}",
            "can_restore": self.has_change_permission(request, item),
        }
        return render(request, f"admin/revisions/{page}.html", context)


def entries_of(page: Page, revisions: models.QuerySet) -> list[Entry]:
    """The page's revisions with what each changed; that of the last one is on the next page."""
    first = page.start_index() - 1
    rows = list(revisions[first : first + page.paginator.per_page + 1])
    entries = []
    for place, revision in enumerate(rows[: page.paginator.per_page]):
        before = rows[place + 1] if place + 1 < len(rows) else None
        fields = changed_fields(before, revision) if before else []
        labels = [in_short(field, revision) for field in fields]
        entries.append(Entry(revision, page.paginator.count - first - place, before, labels))
    return entries


def find_entry(item: models.Model, revision_id: str) -> Entry:
    revisions = item.revisions.select_related("history_user")
    found = revisions.filter(pk=revision_id).first() if revision_id.isdecimal() else None
    if found is None:
        raise Http404("Choose two revisions of this history: ?from= and ?to= name them.")
    return Entry(found, item.revisions.filter(history_id__lte=found.pk).count())


def changes_between(old: HistoricalChanges, new: HistoricalChanges) -> list[FieldChange]:
    return [describe_change(field, old, new) for field in changed_fields(old, new)]


def changed_fields(old: HistoricalChanges, new: HistoricalChanges) -> list[models.Field]:
    return [
        field
        for field in new.tracked_fields
        if getattr(old, field.attname) != getattr(new, field.attname)
    ]


def describe_change(
    field: models.Field, old: HistoricalChanges, new: HistoricalChanges
) -> FieldChange:
    before, after = shown_value(field, old), shown_value(field, new)
    if isinstance(field, models.TextField):
        return FieldChange(label_of(field), lines=diff_lines(before, after))
    removed, added = diff_words(before, after)
    return FieldChange(label_of(field), old=removed, new=added)


def shown_value(field: models.Field, revision: HistoricalChanges) -> str:
    value = getattr(revision, field.attname)
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(dict(field.flatchoices).get(value, value))


def in_short(field: models.Field, revision: HistoricalChanges) -> str:
    label = label_of(field)
    return f"{label} → {shown_value(field, revision)}" if field.choices else label


def label_of(field: models.Field) -> str:
    return capfirst(field.verbose_name)
