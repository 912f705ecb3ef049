"""A database that is away: how that shows, and what may be said of it."""

from django.db import InterfaceError, OperationalError

# What Django raises when a connection is refused or breaks off.
DATABASE_AWAY = (OperationalError, InterfaceError)


def first_line(error: BaseException) -> str:
    """What connection errors say: which server can't be reached. What follows may quote."""
    return str(error).partition("\n")[0][:300]
