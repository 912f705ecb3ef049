"""The monthly limit: calendar months in UTC, exact, the same at every door."""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from django.utils import timezone

from accounts.models import User
from config.errors import AppError


class MonthlyLimitReached(AppError):
    status_code = 429
    message = "Monthly simulation limit reached"


@dataclass(frozen=True)
class Quota:
    used: int
    limit: int
    resets_at: datetime

    @property
    def remaining(self) -> int:
        return max(0, self.limit - self.used)

    @classmethod
    def of(cls, user: User) -> "Quota":
        start, end = month_bounds(timezone.now())
        used = user.simulations.filter(created_at__gte=start).charged().count()
        return cls(used=used, limit=user.monthly_simulation_limit, resets_at=end)

    def check(self) -> None:
        """Raises unless one more is allowed. Exact only while the user's row is locked."""
        if self.remaining:
            return
        reset = f"{self.resets_at:%Y-%m-%d}"
        seconds = int((self.resets_at - timezone.now()).total_seconds()) + 1
        raise MonthlyLimitReached(
            f"{MonthlyLimitReached.message}: {self.used} of {self.limit} used. "
            f"It resets on {reset} (UTC).",
            details={"used": self.used, "limit": self.limit, "resets_at": self.resets_at},
            headers={"Retry-After": str(seconds)},
        )


def month_bounds(moment: datetime) -> tuple[datetime, datetime]:
    """First instant of the calendar month (UTC) and of the next one."""
    first = partial(datetime, day=1, tzinfo=UTC)
    moment = moment.astimezone(UTC)
    following = (moment.year + moment.month // 12, moment.month % 12 + 1)
    return first(moment.year, moment.month), first(*following)
