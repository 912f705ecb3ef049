"""Markdown that nobody vouches for, as HTML that is safe to show.

Two layers, each sufficient alone: the parser knows no HTML, and what it makes passes an allowlist.
"""

from collections.abc import Sequence

import nh3
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from markdown_it.renderer import RendererHTML
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

from knowledge.neutral import drop_unsafe

# Page and section have the first two levels.
TOP_HEADING = 3
LINK_SCHEMES = {"http", "https", "mailto"}
CELL_CLASSES = {"text-left", "text-center", "text-right"}

TAGS = {
    *("h3", "h4", "h5", "h6", "p", "br", "hr", "blockquote", "pre", "code", "em", "strong", "s"),
    *("ul", "ol", "li", "a", "div", "table", "thead", "tbody", "tr", "th", "td"),
}
ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}}
# What may scroll is reached by the keyboard; a text can't choose these.
SCROLLING = {"div": {"tabindex": {"0"}}, "pre": {"tabindex": {"0"}}}
CLASSES = {"div": {"table-scroll"}, "th": CELL_CLASSES, "td": CELL_CLASSES}


def render_markdown(text: str) -> SafeString:
    """CommonMark with tables and strikethrough; HTML in it shows as text, an image as its alt."""
    html = PARSER.render(drop_unsafe(text))
    # Character references have become characters by now.
    return mark_safe(_clean(drop_unsafe(html)))  # noqa: S308 - the allowlist's output


def _clean(html: str) -> str:
    return nh3.clean(
        html,
        tags=TAGS,
        attributes=ATTRIBUTES,
        tag_attribute_values=SCROLLING,
        allowed_classes=CLASSES,
        url_schemes=LINK_SCHEMES,
        url_relative="deny",
        link_rel="noopener noreferrer nofollow",
    )


def _may_link(url: str) -> bool:
    scheme, colon, _ = url.partition(":")
    return bool(colon) and scheme.lower() in LINK_SCHEMES


def _fit_headings(state: StateCore) -> None:
    """Moves the headings below the page's own, the highest one to TOP_HEADING."""
    headings = [token for token in state.tokens if token.type.startswith("heading_")]
    shift = TOP_HEADING - min((_level(token) for token in headings), default=TOP_HEADING)
    for token in headings:
        token.tag = f"h{min(6, _level(token) + shift)}"


def _level(heading: Token) -> int:
    return int(heading.tag[1])


def _align_by_class(state: StateCore) -> None:
    """The parser aligns cells by a style attribute, which a strict CSP ignores."""
    for token in state.tokens:
        if style := token.attrs.pop("style", None):
            token.attrs["class"] = str(style).replace("text-align:", "text-")


def _scrolling_code(
    renderer: RendererHTML,
    tokens: Sequence[Token],
    index: int,
    options: OptionsDict,
    env: EnvType,
) -> str:
    return f'<pre tabindex="0"><code>{escapeHtml(tokens[index].content)}</code></pre>\n'


def _image_as_text(
    renderer: RendererHTML,
    tokens: Sequence[Token],
    index: int,
    options: OptionsDict,
    env: EnvType,
) -> str:
    return escapeHtml(renderer.renderInlineAsText(tokens[index].children, options, env))


def _build_parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    parser.validateLink = _may_link
    parser.core.ruler.push("fit_headings", _fit_headings)
    parser.core.ruler.push("align_by_class", _align_by_class)
    parser.add_render_rule("image", _image_as_text)
    for code in ("fence", "code_block"):
        parser.add_render_rule(code, _scrolling_code)
    # A wide table scrolls inside its own box.
    parser.add_render_rule(
        "table_open", lambda *_: '<div class="table-scroll" tabindex="0"><table>\n'
    )
    parser.add_render_rule("table_close", lambda *_: "</table></div>\n")
    return parser


PARSER = _build_parser()
