"""A folder for git: `articles/SLUG.md` with front matter, and `keywords.yaml`."""

import re
from pathlib import Path
from typing import Any

import yaml

from knowledge.exchange.files import (
    MAX_BYTES,
    Collection,
    Row,
    UnreadableFile,
    check_rows,
    decode,
    read_bytes,
)

ARTICLES = "articles"
KEYWORDS = "keywords.yaml"
FRONT_MATTER = re.compile(r"---\n(.*?)(?<=\n)---(?:\n|\Z)", re.DOTALL)


def read_folder(folder: Path) -> Collection:
    articles = folder / ARTICLES
    keywords = folder / KEYWORDS
    budget = Budget()
    return Collection(
        articles=_read_articles(articles, budget) if _is_there(articles) else None,
        keywords=_read_keywords(budget.read(keywords)) if _is_there(keywords) else None,
    )


class Budget:
    """The files of a folder together may not be larger than one file."""

    def __init__(self) -> None:
        self.left = MAX_BYTES

    def read(self, path: Path) -> bytes:
        content = read_bytes(path, self.left)
        self.left -= len(content)
        return content


def _is_there(path: Path) -> bool:
    return path.exists() or path.is_symlink()


def _read_articles(folder: Path, budget: Budget) -> list[Row]:
    if folder.is_symlink() or not folder.is_dir():
        raise UnreadableFile(f"{folder}: Not a folder.")
    paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    check_rows(len(paths))
    return [_read_article(path, budget) for path in paths]


def _read_article(path: Path, budget: Budget) -> Row:
    place = f"{ARTICLES}/{path.name}"
    if path.suffix != ".md":
        raise UnreadableFile(f"{place}: Not an article. Only files named SLUG.md belong here.")
    fields, text = parse_article(decode(budget.read(path), place), place)
    if fields.get("slug", path.stem) != path.stem:
        raise UnreadableFile(f"{place}: The slug is the file's name. Rename the file.")
    return Row(place, fields | {"slug": path.stem, "text": text})


def parse_article(content: str, place: str) -> tuple[dict[str, Any], str]:
    """Front matter and text. One newline at the end belongs to the file, not to the text."""
    if content.startswith("---\r\n"):  # an editor or git has changed all newlines
        content = content.replace("\r\n", "\n")
    front_matter = FRONT_MATTER.match(content)
    if front_matter is None:
        message = "Begin with a line ---, then fields such as title: …, then another line ---."
        raise UnreadableFile(f"{place}: {message}")
    fields = load_yaml(front_matter[1], place) or {}
    if not isinstance(fields, dict) or "text" in fields:
        raise UnreadableFile(f"{place}: Give fields such as title: … between the lines of ---.")
    return fields, content[front_matter.end() :].removesuffix("\n")


def _read_keywords(content: bytes) -> list[Row]:
    items = load_yaml(decode(content, KEYWORDS), KEYWORDS) or []
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise UnreadableFile(f"{KEYWORDS}: Give a list; each keyword begins with - phrase: …")
    check_rows(len(items))
    return [Row(f"{KEYWORDS}, keyword {n}", item) for n, item in enumerate(items, start=1)]


class TextLoader(yaml.BaseLoader):
    """Every scalar is a text: `title: No` and `tags: [2026]` mean what they say. Builds nothing."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.MarkedYAMLError(problem="references are not read", problem_mark=mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        names = [name.value for name, _ in node.value]
        if twice := next((name for name in names if names.count(name) > 1), None):
            problem = f"{twice} is there twice"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
        return super().construct_mapping(node, deep)


def load_yaml(text: str, place: str) -> Any:
    try:
        return yaml.load(text, Loader=TextLoader)  # noqa: S506 - builds texts, lists and mappings
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UnreadableFile(f"{place}{line}: Not YAML: {error.problem}.") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise UnreadableFile(f"{place}: Not YAML: {error}.") from error


# --- Writing ----------------------------------------------------------------------------------


def write_folder(
    folder: Path, articles: list[dict[str, Any]], keywords: list[dict[str, Any]]
) -> None:
    """Writes a new folder, or brings an earlier export up to date."""
    _check_target(folder)
    target = folder / ARTICLES
    target.mkdir(parents=True, exist_ok=True)
    written = {f"{article['slug']}.md" for article in articles}
    for path in target.glob("*.md"):
        if path.name not in written:
            path.unlink()
    for article in articles:
        (target / f"{article['slug']}.md").write_bytes(article_file(article))
    (folder / KEYWORDS).write_bytes(dump_yaml(keywords).encode())


def _check_target(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise UnreadableFile(f"{folder}: Not a folder.")
    target = folder / ARTICLES
    for path in (target, folder / KEYWORDS, *target.glob("*.md")):
        if path.is_symlink():
            raise UnreadableFile(f"{path}: A symbolic link. Nothing is written through it.")
    if target.exists() and not (folder / KEYWORDS).exists():
        raise UnreadableFile(f"{folder}: Not an earlier export. Give a new or empty folder.")


def article_file(article: dict[str, Any]) -> bytes:
    fields = {name: value for name, value in article.items() if name not in {"slug", "text"}}
    return f"---\n{dump_yaml(fields)}---\n{article['text']}\n".encode()


class TextDumper(yaml.SafeDumper):
    """Quotes with escapes what isn't printable: the other styles change some newlines."""

    def represent_text(self, text: str) -> yaml.ScalarNode:
        style = None if text.isprintable() else '"'
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=style)


TextDumper.add_representer(str, TextDumper.represent_text)


def dump_yaml(value: Any) -> str:
    """One line for each field, whatever its length: that is what git compares."""
    return yaml.dump(
        value,
        Dumper=TextDumper,
        allow_unicode=True,
        sort_keys=False,
        default_flow_style=None,
        width=MAX_BYTES,
    )
