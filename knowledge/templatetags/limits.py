"""What pages say of limits, from where they are set."""

from django.template import Library

from knowledge.context import ARTICLE_LIMIT
from knowledge.grounding import MAX_ARTICLES

register = Library()


@register.simple_tag
def article_limit() -> str:
    """Characters of an article that are sent."""
    return f"{ARTICLE_LIMIT:,}"


@register.simple_tag
def max_articles() -> int:
    """How many articles are sent with a question."""
    return MAX_ARTICLES
