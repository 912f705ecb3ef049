"""Fields of the forms of several apps."""

from typing import Any

from django import forms


class LinesField(forms.CharField):
    """A text of several lines. Browsers send each line's end as two characters; this is one."""

    widget = forms.Textarea

    def to_python(self, value: Any) -> str:
        return super().to_python(value).replace("\r\n", "\n")
