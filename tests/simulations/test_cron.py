"""When schedules come due, most of all where clocks change: on 28 March 2027 at 02:00 Vienna's go
forward to 03:00, on 25 October 2026 at 03:00 back to 02:00."""

from datetime import UTC, datetime
from itertools import islice

import pytest
from django.core.exceptions import ValidationError

from simulations.cron import in_words, times_after, validate_schedule, validate_time_zone

SPRING, AUTUMN = "2027-03-28", "2026-10-25"


@pytest.mark.parametrize(
    ("after", "schedule", "expected"),
    [
        # Given hours and minutes: once on every day.
        (f"{SPRING}T00:10", "30 2 * * *", ["03-28 03:00+0200", "03-29 02:30+0200"]),
        (f"{SPRING}T00:10", "0 2,3 * * *", ["03-28 03:00+0200", "03-29 02:00+0200"]),
        (f"{AUTUMN}T00:10", "30 2 * * *", ["10-25 02:30+0200", "10-26 02:30+0100"]),
        # Between the two 02:30s and in the second of the equal hours: it ran before.
        (f"{AUTUMN}T00:40", "30 2 * * *", ["10-26 02:30+0100", "10-27 02:30+0100"]),
        (f"{AUTUMN}T01:10", "30 2 * * *", ["10-26 02:30+0100", "10-27 02:30+0100"]),
        # A star in minute or hour: by elapsed time.
        (f"{SPRING}T00:10", "30 * * * *", ["03-28 01:30+0100", "03-28 03:30+0200"]),
        (f"{AUTUMN}T00:10", "30 * * * *", ["10-25 02:30+0200", "10-25 02:30+0100"]),
        (f"{AUTUMN}T00:59:59", "* * * * *", ["10-25 02:00+0100", "10-25 02:01+0100"]),
        # The time itself is over; day of the month or of the week, as in every cron.
        ("2026-11-23T08:00", "0 9 * * 1-5", ["11-24 09:00+0100", "11-25 09:00+0100"]),
        ("2026-11-23T08:00", "0 9 1 * MON", ["11-30 09:00+0100", "12-01 09:00+0100"]),
    ],
)
def test_times_of_a_schedule(after: str, schedule: str, expected: list[str]) -> None:
    moment = datetime.fromisoformat(after).replace(tzinfo=UTC)
    times = list(islice(times_after(moment, schedule, "Europe/Vienna"), 2))
    assert [f"{time:%m-%d %H:%M%z}" for time in times] == expected


@pytest.mark.parametrize(
    ("schedule", "problem"),
    [
        ("", "Give five fields"),
        ("* * * *", "this has 4"),
        ("0 0 9 * * *", "this has 6"),
        ("60 * * * *", "No such minute"),
        ("0 0 31 2 *", "No such day-of-month"),
        ("0 0 * * noday", "No such day-of-week"),
        ("*/0 * * * *", "No such minute"),
        ("@daily", "this has 1"),
    ],
)
def test_what_is_no_schedule_is_refused(schedule: str, problem: str) -> None:
    with pytest.raises(ValidationError) as caught:
        validate_schedule(schedule)
    assert problem in caught.value.message
    assert "“0 9 * * 1-5” is 09:00 from Monday to Friday" in caught.value.message


@pytest.mark.parametrize("name", ["", "Vienna", "../etc/passwd", "Europe/vienna"])
def test_an_unknown_time_zone_is_refused(name: str) -> None:
    validate_time_zone("Europe/Vienna")
    with pytest.raises(ValidationError):
        validate_time_zone(name)


def test_a_schedule_in_words() -> None:
    words = in_words("0 9 * * 1-5", "Europe/Vienna")
    assert words == "At 09:00 on Monday through Friday (Europe/Vienna)"
