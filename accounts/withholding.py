"""What an admin page leaves out for those without a module: ADMIN is not exempt from modules."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import BaseModelAdmin
from django.db import models
from django.http import HttpRequest

from accounts.models import Module
from accounts.permissions import missing


class WithholdsArticles(BaseModelAdmin):
    """In place of `withheld_field`, which holds the text of articles, stands what is missing."""

    withheld_field: str

    def withholds(self, request: HttpRequest, obj: Any) -> bool:
        return not request.user.has_module(Module.KNOWLEDGE_BASE)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Sequence[tuple[Any, Any]]:
        fieldsets = super().get_fieldsets(request, obj)
        if not self.withholds(request, obj):
            return fieldsets
        return [
            (name, options | {"fields": self._without_articles(options["fields"])})
            for name, options in fieldsets
        ]

    def _without_articles(self, fields: Sequence[str]) -> list[str]:
        return ["withheld" if name == self.withheld_field else name for name in fields]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Sequence[str]:
        return [*super().get_readonly_fields(request, obj), "withheld"]

    @admin.display(description="text of articles")
    def withheld(self, row: models.Model) -> str:
        return missing(Module.KNOWLEDGE_BASE)
