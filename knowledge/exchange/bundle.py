"""Articles and keywords together, as one JSON file, a folder of CSV files or one of Markdown."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from knowledge.exchange.files import (
    Collection,
    Row,
    UnreadableFile,
    check_rows,
    read_bytes,
    to_dataset,
)
from knowledge.exchange.formats import (
    CsvFormat,
    check_list,
    read_csv,
    read_json,
    write_json,
)
from knowledge.exchange.markdown import ARTICLES, KEYWORDS, read_folder, write_folder

FORMATS = ("csv", "json", "markdown")
CSV_NAMES = ("articles.csv", "keywords.csv")
Rows = list[dict[str, Any]]


def guess_format(path: Path) -> str:
    """From a file's ending, or from what a folder holds."""
    if path.suffix.lower() in {".csv", ".json"} and not path.is_dir():
        return path.suffix.lower()[1:]
    if path.is_dir() and any((path / name).exists() for name in (ARTICLES, KEYWORDS)):
        return "markdown"
    if path.is_dir() and any((path / name).exists() for name in CSV_NAMES):
        return "csv"
    raise UnreadableFile(
        f"{path}: Give a .json or .csv file, a folder with {' or '.join(CSV_NAMES)}, "
        f"or a folder with {ARTICLES}/ or {KEYWORDS}."
    )


def read(path: Path, file_format: str) -> Collection:
    return READERS[file_format](path)


def write(path: Path, file_format: str, articles: Rows, keywords: Rows) -> None:
    WRITERS[file_format](path, articles, keywords)


def _read_json(path: Path) -> Collection:
    """{"articles": […], "keywords": […]}, or a list of one of the two."""
    value = read_json(read_bytes(path))
    if not isinstance(value, dict):
        return _sort_out(check_list(value), "item")
    if unknown := sorted(set(value) - {"articles", "keywords"}):
        raise UnreadableFile(f"Unknown name: {', '.join(unknown)}. Use: articles, keywords.")
    parts = {name: _numbered(check_list(rows), name, 1) for name, rows in value.items()}
    return Collection(parts.get("articles"), parts.get("keywords"))


def _read_csv(path: Path) -> Collection:
    if not path.is_dir():
        return _sort_out(read_csv(read_bytes(path)), "row", first=2)
    articles, keywords = (
        _numbered(read_csv(read_bytes(path / name)), f"{name}, row", 2)
        if (path / name).exists()
        else None
        for name in CSV_NAMES
    )
    return Collection(articles, keywords)


def _sort_out(rows: Rows, label: str, first: int = 1) -> Collection:
    """A file without a name for its rows: articles have slugs, keywords have phrases."""
    numbered = _numbered(rows, label, first)
    if all("slug" in row for row in rows):
        return Collection(numbered, None)
    if all("phrase" in row for row in rows):
        return Collection(None, numbered)
    raise UnreadableFile("Each article needs a slug, each keyword a phrase; keep the two apart.")


def _numbered(rows: Rows, label: str, first: int) -> list[Row]:
    check_rows(len(rows))
    return [Row(f"{label} {number}", row) for number, row in enumerate(rows, start=first)]


def _write_json(path: Path, articles: Rows, keywords: Rows) -> None:
    _refuse_link(path)
    path.write_bytes(write_json({"articles": articles, "keywords": keywords}))


def _write_csv(path: Path, articles: Rows, keywords: Rows) -> None:
    path.mkdir(parents=True, exist_ok=True)
    for name, rows in zip(CSV_NAMES, (articles, keywords), strict=True):
        _refuse_link(path / name)
        (path / name).write_bytes(CsvFormat().export_data(to_dataset(rows)))


def _refuse_link(path: Path) -> None:
    if path.is_symlink():
        raise UnreadableFile(f"{path}: A symbolic link. Nothing is written through it.")


READERS: dict[str, Callable[[Path], Collection]] = {
    "csv": _read_csv,
    "json": _read_json,
    "markdown": read_folder,
}
WRITERS: dict[str, Callable[[Path, Rows, Rows], None]] = {
    "csv": _write_csv,
    "json": _write_json,
    "markdown": write_folder,
}
