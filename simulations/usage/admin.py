from django import forms
from django.conf import settings
from django.contrib import admin
from django.db import models
from django.http import HttpRequest


class PriceAdmin(admin.ModelAdmin):
    list_display = ["model", "valid_from", "input_price", "output_price"]
    search_fields = ["model"]

    def formfield_for_dbfield(
        self, db_field: models.Field, request: HttpRequest, **options: object
    ) -> forms.Field | None:
        if isinstance(db_field, models.DecimalField):
            options["help_text"] = f"In {settings.USAGE_CURRENCY}."
        return super().formfield_for_dbfield(db_field, request, **options)
