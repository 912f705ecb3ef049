"""Moments in SQL: Django's own functions for them are slow on SQLite."""

from typing import Any

from django.db import models


class Month(models.Func):
    """A moment's month in UTC, such as 2026-11."""

    output_field = models.CharField()
    template = "SUBSTR(%(expressions)s, 1, 7)"

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        template = "TO_CHAR(%(expressions)s AT TIME ZONE 'UTC', 'YYYY-MM')"
        return self.as_sql(compiler, connection, **{"template": template} | context)


class Seconds(models.Func):
    """Whole seconds from the second moment to the first one."""

    output_field = models.IntegerField()
    arg_joiner = ") - JULIANDAY("
    template = "CAST(ROUND(86400 * (JULIANDAY(%(expressions)s))) AS INTEGER)"

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        template = "CAST(ROUND(EXTRACT(EPOCH FROM (%(expressions)s))) AS INTEGER)"
        context = {"template": template, "arg_joiner": " - "} | context
        return self.as_sql(compiler, connection, **context)
