"""CSV and JSON, one kind of row in each file: what the admin site takes and gives."""

import csv
import io
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from import_export.formats.base_formats import CSV, JSON
from tablib import Dataset

from knowledge.exchange.files import (
    MAX_BYTES,
    UnreadableFile,
    check_rows,
    check_size,
    decode,
    to_dataset,
)

# Spreadsheets calculate cells that begin like this (OWASP, "CSV injection"). The apostrophe keeps
# them from it; one is added also to texts that have one in front already, so that taking one away
# always gives back the text.
FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")
NEUTRALISED = re.compile(r"'+[=+\-@\t\r\n＝＋－＠]")

# A cell holds an article's text, for which the library's own limit is too small.
csv.field_size_limit(MAX_BYTES)


def neutralise(cell: str) -> str:
    return f"'{cell}" if FORMULA.match(cell) else cell


def restore(cell: str) -> str:
    return cell[1:] if NEUTRALISED.match(cell) else cell


class CsvFormat(CSV):
    """Binary to the library: its text mode would change newlines."""

    def is_binary(self) -> bool:
        return True

    def get_read_mode(self) -> str:
        return "rb"

    def create_dataset(self, in_stream: bytes, **kwargs: Any) -> Dataset:
        return to_dataset(read_csv(in_stream))

    def export_data(self, dataset: Dataset, **kwargs: Any) -> bytes:
        return write_csv(dataset.headers, dataset)


class JsonFormat(JSON):
    """A list of objects."""

    def is_binary(self) -> bool:
        return True

    def get_read_mode(self) -> str:
        return "rb"

    def create_dataset(self, in_stream: bytes, **kwargs: Any) -> Dataset:
        return to_dataset(check_list(read_json(in_stream)))

    def export_data(self, dataset: Dataset, **kwargs: Any) -> bytes:
        return write_json([dict(zip(dataset.headers, row, strict=True)) for row in dataset])


def write_csv(headers: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(headers)
    writer.writerows([neutralise(to_cell(value)) for value in row] for row in rows)
    return out.getvalue().encode("utf-8-sig")  # without the mark, Excel takes it for Latin-1


def to_cell(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return list_to_cell(value)
    return str(value)


def list_to_cell(items: list[str]) -> str:
    """Separated by commas, or JSON where that would not give back the same list."""
    plain = ", ".join(items)
    if not is_json_list(plain) and cell_to_list(plain) == items:
        return plain
    return json.dumps(items, ensure_ascii=False)


def is_json_list(cell: str) -> bool:
    return cell.lstrip().startswith("[")


def cell_to_list(cell: str) -> list[str]:
    """ValueError unless it is a list in JSON or texts separated by commas."""
    if is_json_list(cell):
        return json.loads(cell)
    return [item for part in cell.split(",") if (item := part.strip())]


def read_csv(content: bytes) -> list[dict[str, str]]:
    check_size(len(content))
    text = decode(content)
    # Some countries' spreadsheets separate cells by semicolons; no column's name contains one.
    delimiter = ";" if ";" in text.partition("\n")[0] else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        headers = [cell.strip() for cell in next(reader, [])]
        rows = [_csv_row(headers, cells, n) for n, cells in enumerate(reader, start=2) if cells]
    except csv.Error as error:
        raise UnreadableFile(f"Not a CSV file: line {reader.line_num}: {error}.") from error
    if len(set(headers)) < len(headers):
        raise UnreadableFile("Two columns have the same name. Keep one of them.")
    return rows


def _csv_row(headers: list[str], cells: list[str], number: int) -> dict[str, str]:
    check_rows(number - 1)
    if len(cells) != len(headers):
        raise UnreadableFile(
            f"Row {number} has {len(cells)} cells, but there are {len(headers)} columns. "
            "Put double quotes around cells that contain the separator."
        )
    return dict(zip(headers, map(restore, cells), strict=True))


def read_json(content: bytes) -> Any:
    check_size(len(content))
    try:
        return json.loads(decode(content))
    except ValueError as error:
        raise UnreadableFile(f"Not JSON: {error}.") from error
    except RecursionError as error:
        raise UnreadableFile("Not JSON of articles or keywords: nested too deeply.") from error


def check_list(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise UnreadableFile("Give a list of objects, one for each article or keyword.")
    return value


def write_json(value: Any) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=2) + "\n").encode()
