from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.commands import find_user
from knowledge.exchange import bundle
from knowledge.exchange.files import UnreadableFile
from knowledge.importing import Problem, Report, import_collection


class Command(BaseCommand):
    help = "Imports articles and keywords: all of them or, if anything is wrong, none."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("path", type=Path, help="a file or a folder that export_articles wrote")
        parser.add_argument("--format", choices=bundle.FORMATS, help="else the path tells")
        parser.add_argument(
            "--dry-run", action="store_true", help="say what would change, and change nothing"
        )
        parser.add_argument(
            "--remove-missing",
            action="store_true",
            help="archive articles and delete keywords that aren't there",
        )
        parser.add_argument("--user", help="who is named in the articles' history")

    def handle(self, path: Path, **options: Any) -> None:
        try:
            file_format = options["format"] or bundle.guess_format(path)
            collection = bundle.read(path, file_format)
        except UnreadableFile as error:
            raise CommandError(str(error)) from error
        report = import_collection(
            collection,
            user=find_user(options["user"]),
            dry_run=options["dry_run"],
            remove_missing=options["remove_missing"],
        )
        if report.problems:
            lines = [describe(problem) for problem in report.problems]
            raise CommandError("\n".join([*lines, "Nothing was imported."]))
        self.say(report, options["dry_run"])

    def say(self, report: Report, dry_run: bool) -> None:
        for name in report.new:
            self.stdout.write(f"new      {name}")
        for name, fields in report.changed:
            self.stdout.write(f"changed  {name}: {', '.join(fields)}")
        for name in report.removed:
            self.stdout.write(f"removed  {name}")
        counts = f"{len(report.new)} new, {len(report.changed)} changed, "
        counts += f"{report.unchanged} unchanged, {len(report.removed)} removed."
        self.stdout.write(counts + (" Nothing was written: a dry run." if dry_run else ""))


def describe(problem: Problem) -> str:
    return ": ".join(part for part in (problem.place, problem.field, problem.message) if part)
