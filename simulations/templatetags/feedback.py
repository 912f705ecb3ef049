"""What was said of answers, beside the article that was sent for them."""

from typing import Any

from django.db.models import F
from django.db.models.functions import Left
from django.template import Library

from knowledge.models import Article
from simulations.models import Feedback

register = Library()

MAX_SHOWN = 10
EXCERPT_LENGTH = 160


@register.inclusion_tag("admin/_article_feedback.html")
def article_feedback(article: Article) -> dict[str, Any]:
    """How many found the answers useful, and the latest reasons; useless ones first."""
    said = Feedback.objects.on_article(article)
    excerpts = said.annotate(query=Left(F("simulation__query"), EXCERPT_LENGTH))
    latest = excerpts.order_by("is_useful", "-given_at")[:MAX_SHOWN]
    return {"counts": said.counts(), "latest": latest}
