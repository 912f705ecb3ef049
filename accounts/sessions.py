"""Sessions end SESSION_IDLE after the last request, and SESSION_LIFETIME after they began.

Users see theirs, and end them one by one.
"""

import time
from datetime import UTC, datetime, timedelta
from functools import cached_property
from operator import attrgetter
from typing import Any

from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.backends import db
from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import models
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare, salted_hmac

from accounts.user_agents import name_browser

BEGAN = "began"
BROWSER = "browser"
# Moving the end with every request would cost each of them a query; it is moved when a tenth of the
# idle time would be gained, or this.
PRECISION = timedelta(minutes=5)


class BrowserSession(AbstractBaseSession):
    """A visit, and whose it is once somebody has signed in."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, null=True, related_name="browser_sessions"
    )

    @classmethod
    def get_session_store_class(cls) -> type["SessionStore"]:
        return SessionStore

    @property
    def handle(self) -> str:
        """Names it on a page; the key itself would let one in."""
        return salted_hmac("accounts.BrowserSession", self.session_key).hexdigest()[:16]

    @cached_property
    def content(self) -> dict[str, Any]:
        return self.get_decoded()

    @property
    def began_at(self) -> datetime:
        return began_at(self.content)

    @property
    def browser(self) -> str:
        return self.content.get(BROWSER, "")

    def lets_in(self, user: AbstractBaseUser) -> bool:
        """Not after a change of how they sign in, although the row is still there."""
        signed_in_with = self.content.get(HASH_SESSION_KEY, "")
        return constant_time_compare(signed_in_with, user.get_session_auth_hash())


def sessions_of(user: AbstractBaseUser) -> list[BrowserSession]:
    """Where they are signed in, the latest first."""
    rows = BrowserSession.objects.filter(user=user, expire_date__gt=now())
    current = (row for row in rows if row.lets_in(user))
    return sorted(current, key=attrgetter("began_at"), reverse=True)


@receiver(user_logged_in)
def note_browser(request: HttpRequest, **kwargs: Any) -> None:
    request.session[BROWSER] = name_browser(request.headers.get("User-Agent", ""))


class SessionStore(db.SessionStore):
    """The cookie lasts for the lifetime; the row knows the end, which is what counts."""

    @classmethod
    def get_model_class(cls) -> type[BrowserSession]:
        return BrowserSession

    def create_model_instance(self, data: dict[str, Any]) -> BrowserSession:
        data.setdefault(BEGAN, int(time.time()))
        row = super().create_model_instance(data)
        row.user_id = data.get(SESSION_KEY)
        row.expire_date = min(now() + settings.SESSION_IDLE, last_end_of(data))
        return row

    def load(self) -> dict[str, Any]:
        row = self._get_session_from_db()
        if row is None:
            return {}
        data = self.decode(row.session_data)
        end = min(now() + settings.SESSION_IDLE, last_end_of(data))
        if end - row.expire_date > min(PRECISION, settings.SESSION_IDLE / 10):
            # Not the data: another request may be writing it.
            self.model.objects.filter(pk=row.pk).update(expire_date=end)
        return data

    def get_session_cookie_age(self) -> int:
        return max(0, int((last_end_of(self._session) - now()).total_seconds()))


def last_end_of(data: dict[str, Any]) -> datetime:
    return began_at(data) + settings.SESSION_LIFETIME


def began_at(data: dict[str, Any]) -> datetime:
    return datetime.fromtimestamp(data.get(BEGAN, time.time()), UTC)


def now() -> datetime:
    return datetime.now(UTC)
