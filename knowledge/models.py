from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.db.models.functions import Lower, Now

from accounts.models import Role, User

slug_validator = RegexValidator(
    r"\A[a-z0-9]+(?:-[a-z0-9]+)*\Z",
    "Use lower-case letters, digits and single hyphens, such as srm-intro-001.",
)


def validate_tags(value: Any) -> None:
    if not isinstance(value, list) or not all(is_tag(tag) for tag in value):
        raise ValidationError("Give a list of tags, each a text of at most 50 characters.")


def is_tag(value: Any) -> bool:
    """JSON fields take NUL and lone surrogates, but PostgreSQL can't store them."""
    return isinstance(value, str) and 0 < len(value.strip()) <= 50 and value.isprintable()


class ArticleQuerySet(models.QuerySet["Article"]):
    def published(self) -> "ArticleQuerySet":
        return self.filter(status=Article.Status.PUBLISHED)

    def visible_to(self, user: User) -> "ArticleQuerySet":
        """Drafts are seen by those who curate."""
        return self if user.has_role(Role.ADMIN) else self.published()


class Article(models.Model):
    """One piece of curated knowledge. Its slug is its name for ever: citations use it."""

    class Status(models.TextChoices):
        DRAFT = "draft", "Draft"
        PUBLISHED = "published", "Published"

    slug = models.CharField(max_length=100, unique=True, validators=[slug_validator])
    title = models.CharField(max_length=200)
    category = models.CharField(max_length=100, db_index=True)
    tags = models.JSONField(default=list, blank=True, validators=[validate_tags])
    text = models.TextField(help_text="Markdown. An assistant is sent the first 4,000 characters.")
    status = models.CharField(max_length=16, choices=Status, default=Status.DRAFT)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = ArticleQuerySet.as_manager()

    class Meta:
        ordering = ["title"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(status__in=["draft", "published"]), name="article_status_known"
            )
        ]

    def __str__(self) -> str:
        return f"{self.title} ({self.slug})"


def next_position() -> int:
    """Behind all the others: where a new keyword changes no order."""
    last = Keyword.objects.aggregate(last=models.Max("position"))["last"]
    return (last or 0) + 1


class Keyword(models.Model):
    """A phrase that brings articles, in curated order, into the prompts that contain it."""

    phrase = models.CharField(max_length=200)
    whole_word = models.BooleanField(
        default=False, help_text="Count it only where no letter or digit touches it."
    )
    position = models.PositiveIntegerField(
        default=next_position, db_index=True, help_text="Keywords with a lower number come first."
    )
    articles = models.ManyToManyField(Article, through="KeywordArticle", related_name="keywords")

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


class KeywordArticle(models.Model):
    keyword = models.ForeignKey(Keyword, on_delete=models.CASCADE, related_name="links")
    article = models.ForeignKey(Article, on_delete=models.CASCADE, related_name="links")
    position = models.PositiveIntegerField(
        blank=True, help_text="Articles with a lower number come first. Empty: the last one."
    )

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
    """One row, rewritten by database triggers whenever a keyword or one of its links changes.

    Every process compares it with the stamp its index was built from. Triggers, because they also
    see what passes by the models: bulk updates, imports, SQL by hand.
    """

    value = models.BigIntegerField()
    changed_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return str(self.value)
