"""What the preview of answer rules is asked: a text, and rules that need not be saved."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.text import capfirst

from config.forms import LinesField
from simulations.models import AnswerRule
from simulations.models.rules import check_inside_text, clean_phrase
from simulations.sanitizing.phrases import LONGEST_PHRASE, Phrase, PhraseKind


class RuleRowForm(forms.ModelForm):
    """A rule in the list of them, where a field has no label of its own."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            label = f"{capfirst(field.label or name)}: “{self.instance}”"
            field.widget.attrs["aria-label"] = label


class RulePreviewForm(forms.Form):
    text = LinesField(
        label="An answer, or a part of one",
        help_text="Nothing is stored.",
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 8}),
    )
    rules = forms.ModelMultipleChoiceField(
        AnswerRule.objects.all(),
        label="Rules to apply",
        help_text="Ticked at first: the active ones.",
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )
    phrase = forms.CharField(
        label="And one that is not saved", required=False, max_length=LONGEST_PHRASE
    )
    kind = forms.ChoiceField(
        choices=AnswerRule.Kind.choices, initial=AnswerRule.Kind.HEADER, required=False
    )
    inside_text = forms.BooleanField(label="Inside text too", required=False)

    def clean(self) -> None:
        if self.cleaned_data.get("phrase"):
            self.cleaned_data["phrase"] = clean_phrase(self.cleaned_data["phrase"])
            check_inside_text(self.cleaned_data.get("kind", ""), self.cleaned_data["inside_text"])

    def phrases(self) -> list[Phrase]:
        """Of the rules that were ticked, in their order, and of the one that is not saved."""
        chosen = self.cleaned_data
        phrases = [rule.as_phrase() for rule in chosen["rules"]]
        if chosen["phrase"]:
            kind = PhraseKind(chosen["kind"] or PhraseKind.HEADER)
            phrases.append(Phrase(chosen["phrase"], kind, chosen["inside_text"]))
        return phrases


def at_first() -> dict[str, Any]:
    """The active rules."""
    return {"rules": list(AnswerRule.objects.filter(is_active=True).values_list("pk", flat=True))}


def with_unsaved(data: Mapping[str, Any]) -> dict[str, Any]:
    """The active rules with what stands in a rule's own form; `replaces` is that rule's id."""
    asked = at_first()
    asked["rules"] = [pk for pk in asked["rules"] if str(pk) != data["replaces"]]
    if "is_active" in data:
        asked |= {name: data.get(name, "") for name in ("phrase", "kind", "inside_text")}
    return asked
