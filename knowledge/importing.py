"""Importing articles and keywords together: all of it or nothing, with a report."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import transaction
from import_export.results import Result, RowResult

from accounts.audit import made_by
from accounts.models import User
from knowledge.exchange.files import Collection, Row, to_dataset
from knowledge.resources import ArticleResource, CuratedResource, CuratedRowResult, KeywordResource


@dataclass(frozen=True)
class Problem:
    """Why a row can't be imported; `field` is empty where it is about the whole row."""

    place: str
    field: str
    message: str


@dataclass
class Report:
    """What an import did or, as a dry run, would do. With problems, nothing was written."""

    new: list[str] = field(default_factory=list)
    changed: list[tuple[str, list[str]]] = field(default_factory=list)
    unchanged: int = 0
    removed: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def add(self, kind: str, row: CuratedRowResult) -> None:
        name = f"{kind} {row.name}"
        if row.import_type == RowResult.IMPORT_TYPE_NEW:
            self.new.append(name)
        elif row.import_type == RowResult.IMPORT_TYPE_UPDATE:
            self.changed.append((name, [change.name for change in row.changes]))
        else:
            self.unchanged += 1


def import_collection(
    collection: Collection,
    *,
    user: User | None = None,
    dry_run: bool = False,
    remove_missing: bool = False,
) -> Report:
    """Articles first: keywords name them. `remove_missing` also takes away what isn't there."""
    report = Report()
    parts: list[tuple[CuratedResource, list[Row] | None]] = [
        (ArticleResource(), collection.articles),
        (KeywordResource(), collection.keywords),
    ]
    with made_by(user), transaction.atomic():
        for resource, rows in parts:
            if rows and not report.problems:
                _import_rows(report, resource, rows, remove_missing)
        if dry_run or report.problems:
            transaction.set_rollback(True)
    return report


def _import_rows(
    report: Report, resource: CuratedResource, rows: list[Row], remove_missing: bool
) -> None:
    dataset = to_dataset([row.values for row in rows])
    result = resource.import_data(dataset, rollback_on_validation_errors=True)
    report.problems += problems_of(result, [row.place for row in rows])
    kind = resource.get_model_name()
    for row in result.valid_rows():
        report.add(kind, row)
    if remove_missing and not report.problems:
        report.removed += [f"{kind} {name}" for name in resource.remove_others(result)]


def problems_of(result: Result, places: list[str]) -> Iterator[Problem]:
    """A problem of the whole file makes those of its rows meaningless."""
    if result.base_errors:
        yield from (Problem("", "", _message(error.error)) for error in result.base_errors)
        return
    for place, row in zip(places, result.rows, strict=True):
        yield from (Problem(place, "", _message(error.error)) for error in row.errors)
        if row.validation_error:
            for name, messages in row.validation_error.message_dict.items():
                field_name = "" if name == NON_FIELD_ERRORS else name
                yield from (Problem(place, field_name, message) for message in messages)


def _message(error: Any) -> str:
    return " ".join(error.messages) if isinstance(error, ValidationError) else str(error)
