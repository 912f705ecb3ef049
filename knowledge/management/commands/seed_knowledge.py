import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand
from django.db import transaction

from knowledge.models import Article, Keyword, KeywordArticle

SEED = Path(__file__).resolve().parents[2] / "seed"


class Command(BaseCommand):
    help = "Adds the seed articles and keywords. What exists already is left as it is."

    @transaction.atomic
    def handle(self, **options: Any) -> None:
        articles = sum(add_article(path) for path in sorted(SEED.glob("articles/*.md")))
        rows = json.loads((SEED / "keywords.json").read_text(encoding="utf-8"))
        keywords = sum(add_keyword(position, row) for position, row in enumerate(rows, start=1))
        self.stdout.write(f"Added {articles} articles and {keywords} keywords.")


def add_article(path: Path) -> bool:
    """Front matter is `key: value` a line between two lines of `---`; the text follows."""
    _, front, text = path.read_text(encoding="utf-8").split("---\n", 2)
    fields = dict(line.split(": ", 1) for line in front.strip().splitlines())
    tags = [tag.strip() for tag in fields.pop("tags").split(",")]
    slug = fields.pop("slug")
    defaults = fields | {"tags": tags, "text": text.strip()}
    return Article.objects.get_or_create(slug=slug, defaults=defaults)[1]


def add_keyword(position: int, row: dict[str, Any]) -> bool:
    keyword, added = Keyword.objects.get_or_create(
        phrase=row["phrase"], defaults={"position": position, "whole_word": row["whole_word"]}
    )
    if added:
        pks = dict(Article.objects.filter(slug__in=row["articles"]).values_list("slug", "pk"))
        KeywordArticle.objects.bulk_create(
            KeywordArticle(keyword=keyword, article_id=pks[slug], position=place)
            for place, slug in enumerate(row["articles"], start=1)
        )
    return added
