from django.db import models

from knowledge.models import Article
from simulations.models.simulation import Simulation


class FeedbackQuerySet(models.QuerySet["Feedback"]):
    def on_article(self, article: Article) -> "FeedbackQuerySet":
        """What was said of answers that the article was sent for."""
        return self.filter(simulation__citations__article=article)

    def counts(self) -> dict[str, int]:
        """How many found the answer `useful`, and how many not: `useless`."""
        return self.aggregate(
            useful=models.Count("pk", filter=models.Q(is_useful=True)),
            useless=models.Count("pk", filter=models.Q(is_useful=False)),
        )


class Feedback(models.Model):
    """What its owner says of an answer; one for each, and the latest word counts."""

    REASON_LIMIT = 1_000

    simulation = models.OneToOneField(Simulation, on_delete=models.CASCADE)
    is_useful = models.BooleanField()
    reason = models.CharField(max_length=REASON_LIMIT, blank=True)
    given_at = models.DateTimeField(auto_now=True)

    objects = FeedbackQuerySet.as_manager()

    class Meta:
        ordering = ["-given_at"]
        verbose_name_plural = "feedback"
        indexes = [models.Index(fields=["is_useful", "-given_at"], name="feedback_recent")]

    def __str__(self) -> str:
        return "Useful" if self.is_useful else "Not useful"
