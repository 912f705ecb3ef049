from itertools import islice
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.commands import find_user
from simulations.answer_rules.current import current_rules
from simulations.answer_rules.recleaning import BATCH, apply_changes, find_changes
from simulations.models import Simulation


class Command(BaseCommand):
    help = (
        "Cleans stored raw answers again, by the current answer rules. Says what would "
        "change; with --yes, it changes it. Old answers are kept, raw answers stay as they are."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("simulations", nargs="*", type=UUID, help="ids of simulations")
        parser.add_argument("--all", action="store_true", help="all simulations with an answer")
        parser.add_argument("--yes", action="store_true", help="change what would change")
        parser.add_argument("--user", help="who is named beside the old answers")

    def handle(self, simulations: list[UUID], **options: Any) -> None:
        if bool(simulations) == options["all"]:
            raise CommandError("Name simulations by their ids, or use --all.")
        user = find_user(options["user"])
        rows = Simulation.objects.all()
        if simulations:
            rows = rows.filter(pk__in=simulations)
            if missing := set(simulations) - set(rows.values_list("pk", flat=True)):
                raise CommandError(f"There is no simulation {', '.join(map(str, missing))}.")
        rules = current_rules()
        would_change = 0
        for change in find_changes(rows, rules):
            would_change += 1
            self.stdout.write(f"changes  {change.simulation.pk}")
        answered = rows.with_raw_answer().count()
        self.stdout.write(
            f"{would_change} of {answered} answers change with rules version {rules.version}."
        )
        if not options["yes"]:
            self.stdout.write("Nothing was written. Use --yes to change them.")
            return
        changes, changed = find_changes(rows, rules), 0
        while batch := list(islice(changes, BATCH)):
            changed += apply_changes(batch, rules, user)
        self.stdout.write(f"Changed: {changed}. The old answers are kept.")
