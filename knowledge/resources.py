"""How articles and keywords look in files, and what an import does with a row."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from import_export.fields import Field
from import_export.resources import ModelResource
from import_export.results import Result, RowResult
from import_export.widgets import Widget
from tablib import Dataset

from knowledge.exchange.formats import cell_to_list, to_cell
from knowledge.models import MAX_POSITION, Article, Keyword, check_article_slugs

NOT_TEXT = "Give a text."
UNSTORABLE = "Remove the characters that can't be stored: NUL and halves of surrogate pairs."
DIGITS = re.compile(r"[0-9]{1,10}")
EXCERPT_LENGTH = 160
TRUE, FALSE = {"true", "yes", "1"}, {"false", "no", "0"}


class TextWidget(Widget):
    """A text, character for character. Raises ValueError, as the library's widgets do."""

    def clean(self, value: Any, row: Any = None, **kwargs: Any) -> str:
        if not isinstance(value, str):
            raise ValueError(NOT_TEXT)
        if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
            raise ValueError(UNSTORABLE)
        return value

    def render(self, value: Any, obj: Any = None, **kwargs: Any) -> Any:
        return value


class PhraseWidget(TextWidget):
    def clean(self, value: Any, row: Any = None, **kwargs: Any) -> str:
        return super().clean(value).strip()


class StatusWidget(TextWidget):
    def clean(self, value: Any, row: Any = None, **kwargs: Any) -> str:
        if value not in Article.Status.values:
            raise ValueError(f"Use one of: {', '.join(Article.Status.values)}.")
        return value


class ListWidget(TextWidget):
    """A list of texts, or one text with commas between them."""

    def clean(self, value: Any, row: Any = None, **kwargs: Any) -> list[str]:
        try:
            items = cell_to_list(value) if isinstance(value, str) else value
        except (ValueError, RecursionError) as error:
            raise ValueError("Separate them with commas, or write a list in JSON.") from error
        if not isinstance(items, list):
            raise ValueError("Give a list of texts.")
        return [super(ListWidget, self).clean(item) for item in items]


class BooleanWidget(TextWidget):
    def clean(self, value: Any, row: Any = None, **kwargs: Any) -> bool:
        word = str(value).lower()
        if word not in TRUE | FALSE:
            raise ValueError("Use true or false.")
        return word in TRUE


class PositionWidget(TextWidget):
    def clean(self, value: Any, row: Any = None, **kwargs: Any) -> int:
        text = "" if isinstance(value, bool) else str(value)
        if not (DIGITS.fullmatch(text) and int(text) <= MAX_POSITION):
            raise ValueError(f"Give a whole number from 0 to {MAX_POSITION:,}.")
        return int(text)


@dataclass(frozen=True)
class ImportedChange:
    name: str
    old: Any
    new: Any

    def excerpts(self) -> tuple[str, str]:
        """Old and new on one line each, where they begin to differ."""
        old, new = (to_cell(value) for value in (self.old, self.new))
        pairs = enumerate(zip_longest(old, new))
        difference = next((place for place, (one, other) in pairs if one != other), 0)
        start = max(0, difference - EXCERPT_LENGTH // 4)
        return _excerpt(old, start), _excerpt(new, start)


def _excerpt(text: str, start: int) -> str:
    end = start + EXCERPT_LENGTH
    part = text[start:end].replace("\r", "␍").replace("\n", "␊")
    return f"{'…' if start else ''}{part}{'…' if end < len(text) else ''}"


class CuratedRowResult(RowResult):
    """`name` is the article's slug or the keyword's phrase, `changes` what an update changes."""

    name: str = ""
    changes: Sequence[ImportedChange] = ()


class CuratedResource(ModelResource):
    """A row names its object by the first field; a value that is None leaves the field alone."""

    # Their empty cell in a table means: as it is, or the default.
    optional: frozenset[str] = frozenset()

    class Meta:
        skip_unchanged = True
        report_skipped = True
        skip_html_diff = True  # the library's has inline styles
        clean_model_instances = True
        use_transactions = True

    @classmethod
    def get_row_result_class(cls) -> type[CuratedRowResult]:
        return CuratedRowResult

    def before_import(self, dataset: Dataset, **kwargs: Any) -> None:
        self._seen: set[str] = set()
        known = [field.column_name for field in self.get_import_fields()]
        if unknown := [name for name in dataset.headers or [] if name not in known]:
            raise ValidationError(
                f"Unknown column: {', '.join(map(str, unknown))}. Use: {', '.join(known)}."
            )

    @property
    def id_field(self) -> str:
        [name] = self.get_import_id_fields()
        return name

    def get_instance(self, instance_loader: Any, row: dict[str, Any]) -> Any:
        """ValidationError, by field, for a name that the file has twice."""
        try:
            name = self.fields[self.id_field].clean(row)
        except (KeyError, ValueError):
            return None  # the row's validation says what is wrong
        if self.identity(name) in self._seen:
            raise ValidationError({self.id_field: "It is in the file twice. Keep one of the two."})
        self._seen.add(self.identity(name))
        return self.find(name)

    def identity(self, name: str) -> str:
        return name

    def find(self, name: str) -> Any:
        return self.get_queryset().filter(**{self.id_field: name}).first()

    @classmethod
    def get_model_name(cls) -> str:
        return cls._meta.model._meta.verbose_name

    def export_rows(self) -> list[dict[str, Any]]:
        dataset = self.export()
        return [dict(zip(dataset.headers, row, strict=True)) for row in dataset]

    def remove_others(self, result: Result) -> list[str]:
        """Takes away what a successful import didn't name; returns the names."""
        kept = [row.object_id for row in result.valid_rows()]
        return [self.remove(other) for other in self.get_removable().exclude(pk__in=kept)]

    def get_removable(self) -> QuerySet[Any]:
        return self.get_queryset()

    def remove(self, instance: Any) -> str:
        """Returns its name."""
        instance.delete()
        return getattr(instance, self.id_field)

    def import_field(
        self,
        field: Field,
        instance: Any,
        row: dict[str, Any],
        is_m2m: bool = False,
        **kwargs: Any,
    ) -> None:
        value = row.get(field.column_name)
        if value is None or (value == "" and field.column_name in self.optional):
            return
        super().import_field(field, instance, row, is_m2m, **kwargs)

    def after_import_row(
        self, row: dict[str, Any], row_result: CuratedRowResult, **kwargs: Any
    ) -> None:
        row_result.name = row.get(self.id_field)
        if row_result.import_type == RowResult.IMPORT_TYPE_UPDATE:
            pairs = [
                (field, field.get_value(row_result.original), field.get_value(row_result.instance))
                for field in self.get_import_fields()
            ]
            row_result.changes = [
                ImportedChange(field.column_name, old, new)
                for field, old, new in pairs
                if old != new
            ]


class ArticleResource(CuratedResource):
    slug = Field("slug", "slug", TextWidget())
    title = Field("title", "title", TextWidget())
    category = Field("category", "category", TextWidget())
    tags = Field("tags", "tags", ListWidget())
    status = Field("status", "status", StatusWidget())
    text = Field("text", "text", TextWidget())

    optional = frozenset({"status"})

    class Meta(CuratedResource.Meta):
        model = Article
        name = "Articles"
        import_id_fields = ["slug"]
        fields = ["slug", "title", "category", "tags", "status", "text"]
        store_instance = True

    def get_queryset(self) -> QuerySet[Article]:
        return Article.objects.order_by("slug")

    def get_removable(self) -> QuerySet[Article]:
        return self.get_queryset().exclude(status=Article.Status.ARCHIVED)

    def remove(self, instance: Article) -> str:
        """Archives it: what cites it goes on naming it."""
        instance.archive()
        return instance.slug


class ArticleSlugsField(Field):
    """A keyword's articles as slugs in curated order; they are linked once it is saved."""

    def get_value(self, instance: Keyword) -> list[str]:
        return instance.article_slugs

    def save(self, instance: Keyword, row: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        instance.article_slugs = self.clean(row, **kwargs)

    def clean(self, row: dict[str, Any], **kwargs: Any) -> list[str]:
        slugs = super().clean(row, **kwargs)
        try:
            check_article_slugs(slugs)
        except ValidationError as error:
            raise ValueError(" ".join(error.messages)) from error
        return slugs


class KeywordResource(CuratedResource):
    phrase = Field("phrase", "phrase", PhraseWidget())
    position = Field("position", "position", PositionWidget())
    whole_word = Field("whole_word", "whole_word", BooleanWidget())
    articles = ArticleSlugsField("articles", "articles", ListWidget())

    optional = frozenset({"position", "whole_word"})

    class Meta(CuratedResource.Meta):
        model = Keyword
        name = "Keywords"
        import_id_fields = ["phrase"]
        fields = ["phrase", "position", "whole_word", "articles"]
        store_instance = True

    def get_queryset(self) -> QuerySet[Keyword]:
        return Keyword.objects.prefetch_related("links__article")

    def identity(self, name: str) -> str:
        return name.lower()

    def find(self, name: str) -> Keyword | None:
        return self.get_queryset().named(name).first()

    def after_save_instance(self, instance: Keyword, row: dict[str, Any], **kwargs: Any) -> None:
        if row.get("articles") is not None:
            instance.link_articles(instance.article_slugs)
