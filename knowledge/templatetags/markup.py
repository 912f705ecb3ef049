from django.template import Library
from django.utils.safestring import SafeString

from knowledge.markup import render_markdown
from knowledge.neutral import show_unsafe

register = Library()


@register.filter
def markdown(text: str) -> SafeString:
    return render_markdown(text)


@register.filter
def visible(text: str) -> str:
    """For what is shown word for word."""
    return show_unsafe(text)
