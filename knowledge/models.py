from collections import Counter
from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.db.models.functions import Lower, Now
from django.utils import timezone
from django.utils.functional import cached_property

from accounts.models import Role, User
from knowledge.context import ARTICLE_LIMIT
from knowledge.revisions import ContentHistory, Revised, RevisedQuerySet, latest_revision_of

slug_validator = RegexValidator(
    r"\A[a-z0-9]+(?:-[a-z0-9]+)*\Z",
    "Use lower-case letters, digits and single hyphens, such as srm-intro-001.",
)


MAX_ARTICLES_OF_KEYWORD = 100
MAX_POSITION = 2**31 - 1  # SQLite would take more


def validate_tags(value: Any) -> None:
    if not isinstance(value, list) or not all(is_tag(tag) for tag in value):
        raise ValidationError("Give a list of tags, each a text of at most 50 characters.")


def is_tag(value: Any) -> bool:
    """JSON fields take NUL and lone surrogates, but PostgreSQL can't store them."""
    return isinstance(value, str) and 0 < len(value.strip()) <= 50 and value.isprintable()


class HasTag(models.Func):
    """Whether a JSON array of texts holds a text; SQLite knows no `contains` of JSON."""

    output_field = models.BooleanField()
    arg_joiner = ") WHERE value = ("
    template = "EXISTS (SELECT 1 FROM json_each(%(expressions)s))"

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        template = "EXISTS (SELECT 1 FROM jsonb_array_elements_text(%(expressions)s))"
        context |= {"template": template, "arg_joiner": ") AS value WHERE value = ("}
        return self.as_sql(compiler, connection, **context)


class ArticleQuerySet(RevisedQuerySet["Article"]):
    def published(self) -> "ArticleQuerySet":
        return self.filter(status=Article.Status.PUBLISHED)

    def visible_to(self, user: User) -> "ArticleQuerySet":
        """Drafts and archived articles are seen by those who curate."""
        return self if user.has_role(Role.ADMIN) else self.published()

    def tagged(self, tag: str) -> "ArticleQuerySet":
        return self.filter(HasTag("tags", models.Value(tag)))

    def with_revision(self) -> "ArticleQuerySet":
        """Adds `revision_id`: the latest revision's, of the same moment as the article itself."""
        return self.annotate(revision_id=latest_revision_of(Article, "pk"))

    def change_status(self, status: "Article.Status") -> int:
        """How many were changed; those that have the status already are left alone."""
        return self.exclude(status=status).update(status=status, updated_at=timezone.now())


class Article(Revised):
    """One piece of curated knowledge. Its slug is its name for ever: citations use it."""

    class Status(models.TextChoices):
        DRAFT = "draft", "Draft"
        PUBLISHED = "published", "Published"
        # Out of prompts, search and lists for readers; kept for what cites it.
        ARCHIVED = "archived", "Archived"

    slug = models.CharField(max_length=100, unique=True, validators=[slug_validator])
    title = models.CharField(max_length=200)
    category = models.CharField(max_length=100, db_index=True)
    tags = models.JSONField(default=list, blank=True, validators=[validate_tags])
    text = models.TextField(
        help_text=f"Markdown. An assistant is sent the first {ARTICLE_LIMIT:,} characters."
    )
    status = models.CharField(max_length=16, choices=Status, default=Status.DRAFT)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = ArticleQuerySet.as_manager()
    not_audited = frozenset({"created_at", "updated_at"})
    revisions = ContentHistory(
        excluded_fields=["created_at", "updated_at"], no_db_index=["slug", "category"]
    )

    class Meta:
        ordering = ["title"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(status__in=["draft", "published", "archived"]),
                name="article_status_known",
            )
        ]

    def __str__(self) -> str:
        return f"{self.title} ({self.slug})"

    def archive(self) -> None:
        if self.status != self.Status.ARCHIVED:
            self.status = self.Status.ARCHIVED
            self.save()


def check_article_slugs(slugs: Sequence[str]) -> None:
    """ValidationError unless a keyword can bring these articles."""
    if len(slugs) > MAX_ARTICLES_OF_KEYWORD:
        raise ValidationError(f"Name at most {MAX_ARTICLES_OF_KEYWORD} articles.")
    if twice := [slug for slug, count in Counter(slugs).items() if count > 1]:
        raise ValidationError(f"Name each article once: {', '.join(twice)}.")
    known = set(Article.objects.filter(slug__in=slugs).values_list("slug", flat=True))
    if missing := [slug for slug in slugs if slug not in known]:
        raise ValidationError(f"There is no article {', '.join(missing)}. Add it first.")


def next_position() -> int:
    """Behind all the others: where a new keyword changes no order."""
    last = Keyword.objects.aggregate(last=models.Max("position"))["last"]
    return (last or 0) + 1


class KeywordQuerySet(RevisedQuerySet["Keyword"]):
    def named(self, phrase: str) -> "KeywordQuerySet":
        """As the constraint sees it: case makes no difference."""
        lower = self.annotate(lower_phrase=Lower("phrase"))
        return lower.filter(lower_phrase=Lower(models.Value(phrase)))

    def visible_to(self, user: User) -> "KeywordQuerySet":
        """With links to visible articles alone; readers see no keyword that has none."""
        links = KeywordArticle.objects.filter(article__in=Article.objects.visible_to(user))
        slugs = links.select_related("article").only("keyword", "position", "article__slug")
        keywords = self.prefetch_related(models.Prefetch("links", slugs))
        if user.has_role(Role.ADMIN):
            return keywords
        return keywords.filter(models.Exists(links.filter(keyword=models.OuterRef("pk"))))


class Keyword(Revised):
    """A phrase that brings articles, in curated order, into the prompts that contain it."""

    phrase = models.CharField(max_length=200)
    whole_word = models.BooleanField(
        default=False, help_text="Find it only where no letter, digit or underscore touches it."
    )
    position = models.PositiveIntegerField(
        default=next_position, db_index=True, help_text="Keywords with a lower number come first."
    )
    articles = models.ManyToManyField(Article, through="KeywordArticle", related_name="keywords")

    objects = KeywordQuerySet.as_manager()
    revisions = ContentHistory(no_db_index=["position"])

    class Meta:
        ordering = ["position", "pk"]
        constraints = [
            models.UniqueConstraint(
                Lower("phrase"),
                name="keyword_phrase_once",
                violation_error_message="This keyword exists already; case makes no difference.",
            )
        ]

    def __str__(self) -> str:
        return self.phrase

    def clean(self) -> None:
        self.phrase = self.phrase.strip()

    @cached_property
    def article_slugs(self) -> list[str]:
        """In curated order. A query for each keyword, unless `links__article` is prefetched."""
        return [link.article.slug for link in self.links.all()] if self.pk else []

    def link_articles(self, slugs: Sequence[str]) -> None:
        """Brings these articles, in this order, and no others. All of them must exist."""
        pks = dict(Article.objects.filter(slug__in=slugs).values_list("slug", "pk"))
        links = {link.article_id: link for link in self.links.all()}
        wanted = [pks[slug] for slug in slugs]
        for pk in links.keys() - set(wanted):
            links[pk].delete()
        for position, pk in enumerate(wanted, start=1):
            link = links.get(pk) or KeywordArticle(keyword=self, article_id=pk)
            if link.position != position:
                link.position = position
                link.save()
        self.article_slugs = list(slugs)


class KeywordArticle(Revised):
    keyword = models.ForeignKey(Keyword, on_delete=models.CASCADE, related_name="links")
    article = models.ForeignKey(Article, on_delete=models.CASCADE, related_name="links")
    position = models.PositiveIntegerField(
        blank=True, help_text="Articles with a lower number come first. Empty: the last one."
    )

    objects = RevisedQuerySet.as_manager()
    revisions = ContentHistory()

    class Meta:
        ordering = ["position", "pk"]
        verbose_name = "article of a keyword"
        verbose_name_plural = "articles of a keyword"
        constraints = [
            models.UniqueConstraint(fields=["keyword", "article"], name="keyword_article_once")
        ]

    def __str__(self) -> str:
        return f"{self.keyword} → {self.article.slug}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.position is None:
            last = self.keyword.links.aggregate(last=models.Max("position"))["last"]
            self.position = (last or 0) + 1
        super().save(*args, **kwargs)


class CurationStamp(models.Model):
    """One row, rewritten by database triggers whenever a keyword, a link or an article changes.

    Every process compares it with the stamp of what it has read. Triggers, because they also
    see what passes by the models: bulk updates, imports, SQL by hand.
    """

    value = models.BigIntegerField()
    changed_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return str(self.value)
