from django.template import Library
from django.utils.safestring import SafeString

from knowledge.markup import render_markdown
from knowledge.neutral import show_unsafe
from knowledge.search.highlights import flatten

register = Library()


@register.filter
def markdown(text: str) -> SafeString:
    return render_markdown(text)


@register.filter
def visible(text: str) -> str:
    """For what is shown word for word."""
    return show_unsafe(text)


@register.filter
def flat(text: str) -> str:
    return flatten(text)
