from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from knowledge.forms import ArticleForm
from knowledge.models import Article, Keyword, KeywordArticle


class KeywordLinkInline(admin.TabularInline):
    model = KeywordArticle
    extra = 1
    autocomplete_fields = ["article", "keyword"]
    fields = ["article", "position"]


@admin.register(Keyword)
class KeywordAdmin(admin.ModelAdmin):
    list_display = ["phrase", "position", "whole_word", "article_slugs"]
    list_editable = ["position"]
    search_fields = ["phrase"]
    inlines = [KeywordLinkInline]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Keyword]:
        return super().get_queryset(request).prefetch_related("links__article")

    @admin.display(description="articles")
    def article_slugs(self, keyword: Keyword) -> str:
        return ", ".join(link.article.slug for link in keyword.links.all()) or "none"


class ArticleKeywordInline(KeywordLinkInline):
    fields = ["keyword", "position"]


@admin.register(Article)
class ArticleAdmin(admin.ModelAdmin):
    form = ArticleForm
    list_display = ["title", "slug", "category", "status", "updated_at"]
    list_filter = ["status", "category"]
    search_fields = ["title", "slug", "text"]
    inlines = [ArticleKeywordInline]
    actions = ["publish", "unpublish"]

    def get_readonly_fields(self, request: HttpRequest, obj: Article | None = None) -> list[str]:
        return ["slug"] if obj else []

    @admin.action(description="Publish selected articles")
    def publish(self, request: HttpRequest, articles: QuerySet[Article]) -> None:
        count = articles.update(status=Article.Status.PUBLISHED)
        self.message_user(request, f"{count} published.")

    @admin.action(description="Turn selected articles into drafts")
    def unpublish(self, request: HttpRequest, articles: QuerySet[Article]) -> None:
        count = articles.update(status=Article.Status.DRAFT)
        self.message_user(request, f"{count} turned into drafts.")
