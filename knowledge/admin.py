from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AutocompleteSelect
from django.db.models import ForeignKey, Model, Prefetch, QuerySet
from django.http import HttpRequest
from django.utils.text import capfirst

from accounts.models import Module
from accounts.permissions import check_module
from config.admin import LargeTable
from knowledge.exchange.admin import ExchangeMixin
from knowledge.forms import ArticleForm
from knowledge.models import (
    Article,
    ArticleQuerySet,
    Keyword,
    KeywordArticle,
    KeywordArticleRevision,
)
from knowledge.resources import ArticleResource, KeywordResource
from knowledge.revision_admin import RelatedChange, RevisionAdmin

MODULE = Module.KNOWLEDGE_BASE
LINK_CHANGES = {"+": "Linked with", "~": "Moved in", "-": "Unlinked from"}
LINK_CHANGES_SHOWN = 50


def link_changes(side: str, **of: int) -> list[RelatedChange]:
    """What became of the links of a keyword or an article; `side` is the other one."""
    revisions = KeywordArticle.revisions.filter(**of).select_related("history_user", side)
    return [
        RelatedChange(revision, describe_link(revision, getattr(revision, side)))
        for revision in revisions[:LINK_CHANGES_SHOWN]
    ]


def describe_link(revision: KeywordArticleRevision, other: Article | Keyword | None) -> str:
    change = LINK_CHANGES[revision.history_type]
    name = f"“{other}”" if other else "what is deleted since"
    return f"{change} {name}, position {revision.position}"


class LinkedSelect(AutocompleteSelect):
    """Knows what its row is linked with; the admin's own looks that up, for each row."""

    linked: Model | None = None

    def optgroups(self, name: str, value: list[str], attr: Any = None) -> list[Any]:
        if self.linked is None or value != [str(self.linked.pk)]:
            return super().optgroups(name, value, attr)
        label = self.choices.field.label_from_instance(self.linked)
        return [(None, [self.create_option(name, self.linked.pk, label, set(value), 0)], 0)]


class LinkFormSet(forms.BaseInlineFormSet):
    """The admin's tables have a header for each column, but no label for each field."""

    def add_fields(self, form: forms.ModelForm, index: int | None) -> None:
        super().add_fields(form, index)
        for name, field in form.fields.items():
            # Under the buttons that the admin puts around some.
            widget = getattr(field.widget, "widget", field.widget)
            widget.attrs["aria-label"] = capfirst(field.label or "")
            if isinstance(widget, LinkedSelect) and form.instance.pk:
                widget.linked = getattr(form.instance, name)


class KeywordLinkInline(admin.TabularInline):
    model = KeywordArticle
    formset = LinkFormSet
    extra = 1
    autocomplete_fields = ["article", "keyword"]
    fields = ["article", "position"]

    class Media:
        js = ["admin/js/jquery.init.js", "admin/js/autocomplete.js", "js/admin.js"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[KeywordArticle]:
        links = super().get_queryset(request)
        return links.select_related("article", "keyword").defer("article__text")

    def formfield_for_foreignkey(
        self, db_field: ForeignKey, request: HttpRequest, **kwargs: Any
    ) -> Any:
        widget = LinkedSelect(db_field, self.admin_site, using=kwargs.get("using"))
        return super().formfield_for_foreignkey(db_field, request, widget=widget, **kwargs)


class PositionForm(forms.ModelForm):
    """A keyword's place, in the list of them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["position"].widget.attrs["aria-label"] = f"Position of “{self.instance}”"


class KnowledgeBaseAdmin(LargeTable, ExchangeMixin, RevisionAdmin):
    """For whoever has the module; ADMIN is not exempt.

    What is refused raises Forbidden, which names the module. Lists of what there is ask
    `has_module_permission` first.
    """

    def has_module_permission(self, request: HttpRequest) -> bool:
        has_module = request.user.is_authenticated and request.user.has_module(MODULE)
        return has_module and super().has_module_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        check_module(request.user, MODULE)
        return super().has_view_permission(request, obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        check_module(request.user, MODULE)
        return super().has_add_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        check_module(request.user, MODULE)
        return super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        check_module(request.user, MODULE)
        return super().has_delete_permission(request, obj)


@admin.register(Keyword)
class KeywordAdmin(KnowledgeBaseAdmin):
    resource_classes = [KeywordResource]
    list_display = ["phrase", "position", "whole_word", "article_list"]
    list_editable = ["position"]
    search_fields = ["phrase"]
    restored_fields = ["phrase", "whole_word", "position"]
    inlines = [KeywordLinkInline]

    def get_changelist_form(self, request: HttpRequest, **kwargs: Any) -> type[forms.ModelForm]:
        return super().get_changelist_form(request, **{"form": PositionForm} | kwargs)

    def related_changes(self, item: Keyword) -> list[RelatedChange]:
        return link_changes("article", keyword_id=item.pk)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Keyword]:
        links = KeywordArticle.objects.select_related("article").defer("article__text")
        return super().get_queryset(request).prefetch_related(Prefetch("links", links))

    @admin.display(description="articles")
    def article_list(self, keyword: Keyword) -> str:
        return ", ".join(keyword.article_slugs) or "none"


class ArticleKeywordInline(KeywordLinkInline):
    fields = ["keyword", "position"]


@admin.register(Article)
class ArticleAdmin(KnowledgeBaseAdmin):
    resource_classes = [ArticleResource]
    form = ArticleForm
    list_display = ["title", "slug", "category", "status", "updated_at"]
    list_filter = ["status", "category"]
    search_fields = ["title", "slug", "text"]
    # Not the status: what is published is no less so for a mended text.
    restored_fields = ["title", "category", "tags", "text"]
    inlines = [ArticleKeywordInline]
    actions = ["publish", "archive", "turn_into_drafts"]

    def related_changes(self, item: Article) -> list[RelatedChange]:
        return link_changes("keyword", article_id=item.pk)

    def get_readonly_fields(self, request: HttpRequest, obj: Article | None = None) -> list[str]:
        return ["slug"] if obj else []

    @admin.action(description="Publish selected articles")
    def publish(self, request: HttpRequest, articles: ArticleQuerySet) -> None:
        self.change_status(request, articles, Article.Status.PUBLISHED)

    @admin.action(description="Archive selected articles")
    def archive(self, request: HttpRequest, articles: ArticleQuerySet) -> None:
        self.change_status(request, articles, Article.Status.ARCHIVED)

    @admin.action(description="Turn selected articles into drafts")
    def turn_into_drafts(self, request: HttpRequest, articles: ArticleQuerySet) -> None:
        self.change_status(request, articles, Article.Status.DRAFT)

    def change_status(
        self, request: HttpRequest, articles: ArticleQuerySet, status: Article.Status
    ) -> None:
        selected, changed = articles.count(), articles.change_status(status)
        self.message_user(
            request,
            f"{changed} of the {selected} selected changed to: {status.label}. "
            "Their histories keep who did it.",
        )
