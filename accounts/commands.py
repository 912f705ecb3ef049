"""What the management commands of several apps have in common."""

from django.core.management.base import CommandError

from accounts.models import User


def find_user(username: str | None) -> User | None:
    """Whom a command acts for; None where nobody is named. Raises CommandError."""
    user = User.objects.filter(username=username).first() if username else None
    if username and user is None:
        raise CommandError(f"There is no user {username}.")
    return user
