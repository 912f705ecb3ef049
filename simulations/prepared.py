"""Statements that the ORM writes once and that are executed many times.

Django builds the SQL of every query anew. For the few that every simulation needs, that costs
several times as much CPU as executing them (`benchmarks/capacity.py`, `benchmarks/api.py`).
"""

import inspect
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import update_wrapper
from types import NoneType
from typing import Any, NamedTuple, get_args
from uuid import UUID

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import (
    AutoField,
    CharField,
    DurationField,
    Expression,
    Field,
    IntegerField,
    Model,
    QuerySet,
    UUIDField,
)
from django.db.models.sql import InsertQuery, UpdateQuery
from django.db.models.sql.compiler import SQLCompiler

FIELDS: dict[type, type[Field]] = {
    UUID: UUIDField,
    int: IntegerField,
    str: CharField,
    timedelta: DurationField,
}


class Update(NamedTuple):
    """The rows to be changed, and what is to be written into them."""

    rows: QuerySet[Any]
    changes: dict[str, Any]


class Parameter(Expression):
    """Stands for an argument while the SQL is written; `key` says which."""

    def __init__(self, key: Any, field: Field) -> None:
        super().__init__(output_field=field)
        self.key = key

    def as_sql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper
    ) -> tuple[str, list[Any]]:
        return "%s", [self]

    def adapt(self, value: Any) -> Any:
        return self.output_field.get_db_prep_save(value, connection)


class PreparedUpdate:
    """A function from parameters to an Update; called with values, it says how many rows changed.

    Its parameters' annotations name their types. It runs once for each kind of database and each
    length of its lists, so that what it reads besides them must not change.
    """

    def __init__(self, describe: Callable[..., Update]) -> None:
        self.signature = inspect.signature(describe)
        self.describe = describe
        self.written: dict[tuple[Any, ...], tuple[str, list[Any]]] = {}
        update_wrapper(self, describe)

    def __call__(self, *args: Any, **kwargs: Any) -> int:
        given = self.signature.bind(*args, **kwargs).arguments
        lengths = {name: len(value) for name, value in given.items() if isinstance(value, list)}
        kind = connection.vendor, *lengths.values()
        if kind not in self.written:
            self.written[kind] = self._write(lengths)
        sql, parameters = self.written[kind]
        values: dict[Any, Any] = dict(given)
        for name in lengths:
            values |= {(name, number): value for number, value in enumerate(given[name])}
        with connection.cursor() as cursor:
            cursor.execute(sql, [_value_of(parameter, values) for parameter in parameters])
            return cursor.rowcount

    def _write(self, lengths: dict[str, int]) -> tuple[str, list[Any]]:
        parameters = self.signature.parameters.values()
        rows, changes = self.describe(*[_placeholder(it, lengths) for it in parameters])
        query = rows.query.chain(UpdateQuery)
        query.add_update_values(changes)
        sql, params = query.get_compiler(connection=connection).as_sql()
        return sql, list(params)


class PreparedSelect:
    """A function from parameters to a queryset of `values_list`; called with values: its rows.

    As with PreparedUpdate; it takes no lists.
    """

    def __init__(self, describe: Callable[..., QuerySet[Any]]) -> None:
        self.signature = inspect.signature(describe)
        self.describe = describe
        self.written: dict[str, tuple[str, list[Any], SQLCompiler, dict[int, Any]]] = {}
        update_wrapper(self, describe)

    def __call__(self, *args: Any, **kwargs: Any) -> list[Sequence[Any]]:
        values = self.signature.bind(*args, **kwargs).arguments
        if connection.vendor not in self.written:
            self.written[connection.vendor] = self._write()
        sql, parameters, compiler, converters = self.written[connection.vendor]
        with connection.cursor() as cursor:
            cursor.execute(sql, [_value_of(parameter, values) for parameter in parameters])
            rows = cursor.fetchall()
        return list(compiler.apply_converters(rows, converters)) if converters else rows

    def _write(self) -> tuple[str, list[Any], SQLCompiler, dict[int, Any]]:
        parameters = self.signature.parameters.values()
        rows = self.describe(*[_placeholder(parameter, {}) for parameter in parameters])
        compiler = rows.query.get_compiler(connection=connection)
        sql, params = compiler.as_sql()
        columns = [column for column, *_ in compiler.select]
        return sql, list(params), compiler, compiler.get_converters(columns)


def _placeholder(
    parameter: inspect.Parameter, lengths: dict[str, int]
) -> Parameter | list[Parameter]:
    if parameter.name not in lengths:
        return Parameter(parameter.name, FIELDS[_kind_of(parameter.annotation)]())
    [kind] = get_args(parameter.annotation)
    numbers = range(lengths[parameter.name])
    return [Parameter((parameter.name, number), FIELDS[kind]()) for number in numbers]


def _kind_of(annotation: Any) -> type:
    """`int` of `int | None` too: NULL is written like any other value."""
    [kind] = {*(get_args(annotation) or [annotation])} - {NoneType}
    return kind


class PreparedInsert:
    """A function from new instances of `model` to their rows; unlike `save`, it tells them nothing
    of what the database adds: automatic keys and `db_default`."""

    def __init__(self, model: type[Model]) -> None:
        self.model = model
        self.fields = [
            field
            for field in model._meta.concrete_fields
            if not (isinstance(field, AutoField) or field.has_db_default())
        ]
        self.written: dict[tuple[str, int], tuple[str, list[Any]]] = {}

    def __call__(self, instances: Sequence[Model]) -> None:
        if not instances:
            return
        kind = connection.vendor, len(instances)
        if kind not in self.written:
            self.written[kind] = self._write(len(instances))
        sql, parameters = self.written[kind]
        values = {
            (number, field.attname): getattr(instance, field.attname)
            for number, instance in enumerate(instances)
            for field in self.fields
        }
        with connection.cursor() as cursor:
            cursor.execute(sql, [_value_of(parameter, values) for parameter in parameters])

    def _write(self, count: int) -> tuple[str, list[Any]]:
        query = InsertQuery(self.model)
        query.insert_values(self.fields, [self._placeholders(number) for number in range(count)])
        [(sql, params)] = query.get_compiler(connection=connection).as_sql()
        return sql, list(params)

    def _placeholders(self, number: int) -> Model:
        return self.model(
            **{field.attname: Parameter((number, field.attname), field) for field in self.fields}
        )


def _value_of(parameter: Any, values: dict[Any, Any]) -> Any:
    if not isinstance(parameter, Parameter):
        return parameter
    return parameter.adapt(values[parameter.key])
