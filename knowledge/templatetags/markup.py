from django.template import Library
from django.utils.safestring import SafeString

from knowledge.markup import render_markdown

register = Library()


@register.filter
def markdown(text: str) -> SafeString:
    return render_markdown(text)
