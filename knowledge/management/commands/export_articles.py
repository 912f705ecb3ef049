from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from knowledge.exchange import bundle
from knowledge.exchange.files import UnreadableFile
from knowledge.resources import ArticleResource, KeywordResource


class Command(BaseCommand):
    help = "Exports all articles and keywords, drafts included."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("path", type=Path, help="a .json file, or a folder")
        parser.add_argument(
            "--format", choices=bundle.FORMATS, help="else json for a .json file, or markdown"
        )

    def handle(self, path: Path, **options: Any) -> None:
        file_format = options["format"] or ("json" if path.suffix == ".json" else "markdown")
        articles = ArticleResource().export_rows()
        keywords = KeywordResource().export_rows()
        try:
            bundle.write(path, file_format, articles, keywords)
        except UnreadableFile as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}.") from error
        self.stdout.write(f"Exported {len(articles)} articles and {len(keywords)} keywords.")
