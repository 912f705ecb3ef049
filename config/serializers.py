"""Serializers and fields that take what they ask for, and name whatever else they are given."""

from typing import Any, ClassVar

from django.db import models
from rest_framework import serializers
from rest_framework.serializers import ValidationError


class StrictSerializer(serializers.Serializer):
    """Refuses fields it doesn't know, by name: a misspelt field is not silently ignored."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict) and (unknown := sorted(set(data) - set(self.fields))):
            known = ", ".join(self.fields)
            raise ValidationError({name: [f"Unknown field. Use: {known}."] for name in unknown})
        return super().to_internal_value(data)


class TextField(serializers.CharField):
    """Text only: the framework's own field would take a number for its digits."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class WholeNumberField(serializers.IntegerField):
    """Numbers only: the framework's own field would take a text of digits."""

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, str | bool):
            self.fail("invalid")
        return super().to_internal_value(data)


class FlagField(serializers.BooleanField):
    """true or false only: the framework's own field would take "yes" and 1 too."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class WriteSerializer(StrictSerializer, serializers.ModelSerializer):
    """Refuses to be given what can't be set, which the framework would pass over."""

    serializer_field_mapping: ClassVar = serializers.ModelSerializer.serializer_field_mapping | {
        models.BooleanField: FlagField
    }

    def to_internal_value(self, data: Any) -> Any:
        given = self.fields.keys() & data if isinstance(data, dict) else set()
        if fixed := sorted(name for name in given if self.fields[name].read_only):
            raise ValidationError({name: ["This can't be set. Leave it out."] for name in fixed})
        return super().to_internal_value(data)

    def update(self, instance: Any, validated_data: dict[str, Any]) -> Any:
        """What is the same already is not saved."""
        if any(getattr(instance, name) != value for name, value in validated_data.items()):
            return super().update(instance, validated_data)
        return instance


class PageParameters(StrictSerializer):
    """What the address of a list may ask for."""

    cursor = TextField(required=False)
