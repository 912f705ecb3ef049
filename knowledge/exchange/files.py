"""Reading files that somebody else made: bounded, regular, UTF-8."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tablib import Dataset

MAX_BYTES = 20_000_000  # of one file, or of all files of a folder together
MAX_ROWS = 2_000  # of articles, and as many of keywords


class UnreadableFile(ValueError):
    """What was given can't be read at all; the message says what to do."""


@dataclass(frozen=True)
class Row:
    """One article or keyword as it stands in a file; `place` says where, for people."""

    place: str
    values: dict[str, Any]


@dataclass(frozen=True)
class Collection:
    """What a file or folder holds. None: it has no part for them, which is not the same as none."""

    articles: list[Row] | None
    keywords: list[Row] | None


def read_bytes(path: Path, budget: int = MAX_BYTES) -> bytes:
    """A regular file's content. Symbolic links would lead out of the folder that was given."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if path.is_symlink():
            raise UnreadableFile(f"{path}: A symbolic link. Put the file itself here.") from error
        raise UnreadableFile(f"{path}: {error.strerror}.") from error
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise UnreadableFile(f"{path}: Not a file.")
        content = file.read(budget + 1)
    check_size(len(content), budget)
    return content


def check_size(size: int, budget: int = MAX_BYTES) -> None:
    if size > budget:
        limit = f"{MAX_BYTES // 1_000_000} MB"
        raise UnreadableFile(f"There is more than {limit} to read. Import it in parts.")


def decode(content: bytes, place: str = "") -> str:
    """UTF-8, with or without the mark that spreadsheets put first; newlines stay as they are."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        where = f"{place}: " if place else ""
        raise UnreadableFile(f"{where}Not UTF-8 text. Save the file as UTF-8.") from error


def check_rows(count: int) -> None:
    if count > MAX_ROWS:
        raise UnreadableFile(f"There are more than {MAX_ROWS:,} rows. Import them in parts.")


def to_dataset(rows: list[dict[str, Any]]) -> Dataset:
    """Rows side by side; what a row doesn't name is None."""
    check_rows(len(rows))
    headers = list(dict.fromkeys(name for row in rows for name in row))
    dataset = Dataset(headers=headers)
    for row in rows:
        dataset.append([row.get(name) for name in headers])
    return dataset
