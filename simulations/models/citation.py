from django.db import models

from knowledge.grounding import FoundBy
from simulations.models.simulation import Simulation


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

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["simulation", "position"], name="citation_position")
        ]

    def __str__(self) -> str:
        return f"{self.title} ({self.slug})"
