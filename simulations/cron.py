"""When a schedule comes due: cron expressions of five fields in a time zone.

Daylight saving is treated as Debian's cron does. A schedule whose minute and hour are given runs
once on every day that it names: in the hour that is left out, right after it; in the hour that
comes twice, the first time. One with a star in minute or hour goes by elapsed time: it runs in
both hours, and not in the one that is left out.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError
from django.core.exceptions import ValidationError

FIELDS = 5
EXAMPLE = "“0 9 * * 1-5” is 09:00 from Monday to Friday"


@cache
def time_zones() -> list[str]:
    """Those with the name of a place, and UTC."""
    return sorted(name for name in available_timezones() if "/" in name or name == "UTC")


def validate_time_zone(name: str) -> None:
    if name not in available_timezones():
        raise ValidationError("This time zone is not known. Name one such as Europe/Vienna or UTC.")


def names_no_place(time_zone: str) -> bool:
    """Whether it goes by an abbreviation or an old name, such as EST or Japan."""
    return time_zone in available_timezones() and time_zone not in time_zones()


def validate_schedule(expression: str) -> None:
    fields = len(expression.split())
    if fields != FIELDS:
        raise ValidationError(
            "Give five fields: minute, hour, day of the month, month, day of the week. "
            f"{EXAMPLE}; this has {fields}."
        )
    try:
        parsed = CronSim(expression, datetime.now(UTC))
    except CronSimError as error:
        problem = str(error).replace("Bad", "No such", 1)
        raise ValidationError(f"This is no cron expression. {problem}. {EXAMPLE}.") from error
    if next(parsed, None) is None:
        raise ValidationError(f"No such day ever comes. {EXAMPLE}.")


def times_after(moment: datetime, expression: str, time_zone: str) -> Iterator[datetime]:
    """The times that a valid schedule comes due, in its time zone, from then on.

    ZoneInfoNotFoundError where what is installed knows the time zone no longer.
    """
    for time in CronSim(expression, moment.astimezone(ZoneInfo(time_zone))):
        # In the second of two equal hours, a time of the first one would come next.
        if time.astimezone(UTC) > moment:
            yield time


def in_words(expression: str, time_zone: str) -> str:
    words = CronSim(expression, datetime.now(UTC)).explain()
    return f"{words} ({time_zone})"
