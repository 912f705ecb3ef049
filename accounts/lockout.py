"""Signing in is refused for a while after too many failures, by django-axes.

Failures are counted for a username and an address together: a stranger can't lock anybody out of
where they sit, and one who guesses from many addresses has the throttle and the password's length
against them. Unknown usernames are treated alike, so that a lockout tells nothing of who exists.
"""

import math
from typing import Any

from axes.handlers.database import AxesDatabaseHandler
from axes.handlers.proxy import AxesProxyHandler
from axes.helpers import get_credentials
from django.conf import settings
from django.contrib.auth import user_login_failed
from django.db.models import Max
from django.http import HttpRequest, HttpResponse, QueryDict
from django.utils import timezone

from config.errors import AppError


class LockedOut(AppError):
    status_code = 429


class LockoutHandler(AxesDatabaseHandler):
    """As django-axes comes, it would also keep what was sent, and hide but a field `password`."""

    def user_login_failed(
        self, sender: Any, credentials: dict, request: HttpRequest | None = None, **kwargs: Any
    ) -> None:
        if request is None:
            return
        sent = request.GET, request.POST
        request.GET = request.POST = QueryDict()
        try:
            super().user_login_failed(sender, credentials, request, **kwargs)
        finally:
            request.GET, request.POST = sent


def check_not_locked_out(request: HttpRequest, username: str) -> None:
    """For what is asked beside the password, which Django's `authenticate` knows nothing of."""
    credentials = get_credentials(username)
    if not AxesProxyHandler.is_allowed(request, credentials):
        request.axes_locked_out, request.axes_credentials = True, credentials
        raise find_lockout(request)


def count_failure(request: HttpRequest, username: str) -> None:
    """Raises LockedOut if it was one too many."""
    credentials = get_credentials(username)
    user_login_failed.send(sender=__name__, credentials=credentials, request=request)
    if lockout := find_lockout(request):
        raise lockout


def find_lockout(request: HttpRequest) -> LockedOut | None:
    """What to tell the client, if that is why authentication failed."""
    if not getattr(request, "axes_locked_out", False):
        return None
    attempts = AxesProxyHandler.get_implementation().get_user_attempts(
        request, request.axes_credentials
    )
    latest = max(found.aggregate(latest=Max("attempt_time"))["latest"] for found in attempts)
    ends = latest + settings.AXES_COOLOFF_TIME
    seconds = max(1, math.ceil((ends - timezone.now()).total_seconds()))
    minutes = math.ceil(seconds / 60)
    return LockedOut(
        "Too many failed attempts to sign in as this user from your address. Try again in "
        f"{minutes} minute{'s' * (minutes > 1)}, at {ends:%H:%M} (UTC), or ask an administrator.",
        headers={"Retry-After": str(seconds)},
    )


def mark_locked_out(request: HttpRequest, response: HttpResponse, credentials: Any) -> HttpResponse:
    """The answer says why by itself; here it gets its status, which a form's page has not."""
    if error := find_lockout(request):
        response.status_code = error.status_code
        for name, value in error.headers.items():
            response[name] = value
    return response
