"""The published articles on their shelves: by category and by tag."""

from collections import Counter
from dataclasses import dataclass

from django.db.models import Count
from django.db.models.functions import Left

from knowledge.models import Article

PAGE_SIZE = 20
LAST_PAGE = 1_000
EXCERPT_LENGTH = 400
# Tags are lists within the articles' rows, and counted one by one.
MAX_COUNTED = 5_000
MAX_TAGS = 60


@dataclass(frozen=True)
class Shelf:
    """A page of articles, and where else to look: categories and the chosen one's tags, counted.

    Articles come without their texts, but with the beginning as `excerpt`.
    """

    articles: list[Article]
    page: int
    has_next: bool
    categories: list[tuple[str, int]]
    tags: list[tuple[str, int]]

    @property
    def next_page(self) -> int:
        return self.page + 1

    @property
    def previous_page(self) -> int:
        return self.page - 1


def browse(category: str = "", tag: str = "", page: int = 1) -> Shelf:
    """Everything, unless a category or a tag is named. Three queries."""
    published = Article.objects.published()
    categories = published.order_by("category").values_list("category").annotate(Count("pk"))
    shelved = published.filter(category=category) if category else published
    lists = shelved.order_by("-pk").values_list("tags", flat=True)[:MAX_COUNTED]
    tags = Counter(tag for tags in lists for tag in set(tags)).most_common(MAX_TAGS)
    found = shelved.tagged(tag) if tag else shelved
    end = page * PAGE_SIZE
    excerpts = found.order_by("title", "pk").annotate(excerpt=Left("text", EXCERPT_LENGTH))
    articles = list(excerpts.defer("text")[end - PAGE_SIZE : end + 1])
    return Shelf(
        articles=articles[:PAGE_SIZE],
        page=page,
        has_next=len(articles) > PAGE_SIZE,
        categories=list(categories),
        tags=sorted(tags),
    )
