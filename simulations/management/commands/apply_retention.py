from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from simulations.privacy.retention import RULES, count_old, forget_batch


class Command(BaseCommand):
    help = (
        "Forgets what is older than RETAIN_…_DAYS allow, in batches. Workers do it by themselves, "
        "a little every minute; this does all of it now."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Only count what would go.")

    def handle(self, *, dry_run: bool, **options: Any) -> None:
        for kind in RULES:
            count = count_old(kind)
            if not dry_run:
                count = 0
                while batch := forget_batch(kind):
                    count += batch
            self.stdout.write(f"{kind:12} {count}")
        if dry_run:
            self.stdout.write("Nothing was changed: a dry run.")
