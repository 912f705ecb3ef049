from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import second_factor
from accounts.models import User


class Command(BaseCommand):
    help = (
        "Turns a user's second factor off, for an administrator who has lost both the app and the "
        "recovery codes. Where it is required they set it up again when they next sign in."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")

    def handle(self, *, username: str, **options: Any) -> None:
        user = User.objects.filter(username=username).first()
        if user is None:
            raise CommandError(f"There is no user “{username}”.")
        if not user.has_second_factor:
            raise CommandError(f"{username} has no second factor.")
        second_factor.remove(user)
        self.stdout.write(f"The second factor of {username} is off; they are signed out.")
