"""How numbers and times read on the pages."""

from datetime import datetime
from decimal import Decimal

from django.template import Library
from django.utils import timezone

from accounts.models import User
from simulations.quota import Quota

register = Library()

CENT = Decimal("0.01")
MINUTE, HOUR, DAY = 60, 3600, 86_400


@register.filter
def thousands(number: int) -> str:
    return f"{number:,}"


@register.filter
def money(amount: Decimal | None) -> str:
    """With two decimals; a dash where it is unknown."""
    if amount is None:
        return "–"
    return "< 0.01" if 0 < amount < CENT else f"{amount:,.2f}"


@register.filter
def duration(seconds: float) -> str:
    if seconds < 9.95:
        return f"{max(0, seconds):.1f}".removesuffix(".0") + " s"
    whole = round(seconds)
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return f"{whole // MINUTE} min {whole % MINUTE} s"
    return f"{whole // HOUR} h {whole % HOUR // MINUTE} min"


@register.filter
def seconds_after(later: datetime, earlier: datetime) -> float:
    return (later - earlier).total_seconds()


@register.filter
def seconds_since(moment: datetime) -> int:
    return max(0, round((timezone.now() - moment).total_seconds()))


@register.filter
def ago(moment: datetime) -> str:
    """How long ago, within a week; after that the date."""
    seconds = seconds_since(moment)
    if seconds < MINUTE:
        return "just now"
    if seconds < HOUR:
        return f"{seconds // MINUTE} min ago"
    if seconds < DAY:
        return f"{seconds // HOUR} h ago"
    if seconds < 7 * DAY:
        days = seconds // DAY
        return "yesterday" if days == 1 else f"{days} days ago"
    return f"{moment:%-d %b %Y}"


@register.simple_tag
def quota_of(user: User) -> Quota:
    """For pages of apps that don't know of simulations."""
    return Quota.of(user)
