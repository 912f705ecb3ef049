from typing import Any

from django import forms

from knowledge.models import Article


class TagsField(forms.CharField):
    """A list of tags, edited as comma-separated text."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, help_text="Separate tags with commas.", **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> list[str]:
        parts = (part.strip() for part in (super().to_python(value) or "").split(","))
        return list(dict.fromkeys(part for part in parts if part))

    def has_changed(self, initial: Any, data: Any) -> bool:
        return self.to_python(self.prepare_value(initial)) != self.to_python(data)


class ArticleForm(forms.ModelForm):
    tags = TagsField()

    class Meta:
        model = Article
        fields = ["slug", "title", "category", "tags", "text", "status"]
