from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from knowledge.exchange.files import Collection
from knowledge.exchange.markdown import read_folder
from knowledge.importing import import_collection
from knowledge.models import Article, Keyword

SEED = Path(__file__).resolve().parents[2] / "seed"


class Command(BaseCommand):
    help = "Adds the seed articles and keywords. What exists already is left as it is."

    def handle(self, **options: Any) -> None:
        missing = without_existing(read_folder(SEED))
        report = import_collection(missing)
        if report.problems:
            raise CommandError("\n".join(map(str, report.problems)))
        articles, keywords = len(missing.articles), len(missing.keywords)
        self.stdout.write(f"Added {articles} articles and {keywords} keywords.")


def without_existing(seed: Collection) -> Collection:
    slugs = set(Article.objects.values_list("slug", flat=True))
    phrases = {phrase.lower() for phrase in Keyword.objects.values_list("phrase", flat=True)}
    return Collection(
        [row for row in seed.articles if row.values["slug"] not in slugs],
        [row for row in seed.keywords if row.values["phrase"].lower() not in phrases],
    )
