from django.db import models

from knowledge.grounding import FoundBy
from knowledge.models import Article
from knowledge.revisions import latest_revision_of, number_of_revision
from simulations.models.simulation import Simulation


class CitationQuerySet(models.QuerySet["Citation"]):
    def with_revisions(self) -> "CitationQuerySet":
        """Adds `revision_number`, counted from 1, and `latest_revision_id` of the article."""
        return (
            self.select_related("revision")
            .defer("revision__text")
            .annotate(
                revision_number=number_of_revision(Article, "revision"),
                latest_revision_id=latest_revision_of(Article, "article_id"),
            )
        )


class Citation(models.Model):
    """An article as it was sent with a simulation: a snapshot that later edits can't change."""

    simulation = models.ForeignKey(Simulation, on_delete=models.CASCADE, related_name="citations")
    position = models.PositiveSmallIntegerField()
    article = models.ForeignKey(
        "knowledge.Article", on_delete=models.SET_NULL, null=True, related_name="citations"
    )
    revision = models.ForeignKey(
        "knowledge.ArticleRevision",
        on_delete=models.PROTECT,
        null=True,
        related_name="+",
        help_text="The article's revision that was sent; unknown before there were revisions.",
    )
    slug = models.CharField(max_length=100)
    title = models.CharField(max_length=200)
    category = models.CharField(max_length=100)
    tags = models.JSONField(default=list)
    text = models.TextField(help_text="The article's text as it was sent.")
    truncated = models.BooleanField(default=False)
    keywords = models.JSONField(default=list)
    found_by = models.CharField(max_length=16, choices=FoundBy, default=FoundBy.KEYWORD)

    objects = CitationQuerySet.as_manager()

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["simulation", "position"], name="citation_position")
        ]

    def __str__(self) -> str:
        return f"{self.title} ({self.slug})"

    @property
    def is_outdated(self) -> bool:
        """Whether the article was changed or deleted since; asks for `with_revisions`."""
        return self.revision_id != self.latest_revision_id
