from typing import Any

from django import forms

from config.forms import LinesField
from knowledge.browsing import LAST_PAGE
from knowledge.exchange.formats import cell_to_list, list_to_cell
from knowledge.models import Article
from knowledge.search.query import MAX_LENGTH


class TagsField(forms.CharField):
    """A list of tags as in a cell of CSV: separated by commas, or in JSON where need be."""

    def __init__(self, **kwargs: Any) -> None:
        help_text = "Separate tags with commas. Where one contains a comma, write a list in JSON: "
        help_text += '["Sahel, West", "two"].'
        super().__init__(required=False, help_text=help_text, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return list_to_cell(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> list[Any]:
        try:
            tags = cell_to_list(super().to_python(value))
        except (ValueError, RecursionError) as error:
            message = 'Separate them with commas, or write a list in JSON: ["one", "two"].'
            raise forms.ValidationError(message) from error
        return [tag for place, tag in enumerate(tags) if tag not in tags[:place]]


class PreviewForm(forms.Form):
    text = LinesField(
        label="A question, or a part of one",
        help_text="Nothing is sent or stored.",
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 8, "autofocus": True}),
    )
    include_drafts = forms.BooleanField(label="Show drafts too", required=False)

    def __init__(self, *args: Any, may_see_drafts: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not may_see_drafts:
            del self.fields["include_drafts"]


class ArticleForm(forms.ModelForm):
    tags = TagsField()

    class Meta:
        model = Article
        fields = ["slug", "title", "category", "tags", "text", "status"]
        field_classes = {"text": LinesField}


class SearchForm(forms.Form):
    q = forms.CharField(
        label="Search the knowledge base",
        required=False,
        help_text="Finds articles with all the words. “Quotes” keep words together, a minus before "
        "a word leaves it out, OR finds either.",
        widget=forms.TextInput(
            attrs={"type": "search", "maxlength": MAX_LENGTH, "enterkeyhint": "search"}
        ),
    )


class BrowseForm(forms.Form):
    """Which shelf of the knowledge base: read from the address, never shown."""

    category = forms.CharField(required=False, strip=False)
    tag = forms.CharField(required=False, strip=False)
    page = forms.IntegerField(required=False, min_value=1, max_value=LAST_PAGE)
