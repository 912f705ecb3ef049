"""Sessions end SESSION_IDLE after the last request, and SESSION_LIFETIME after they began."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends import db
from django.contrib.sessions.models import Session

BEGAN = "began"
# Moving the end with every request would cost each of them a query; it is moved when a tenth of the
# idle time would be gained, or this.
PRECISION = timedelta(minutes=5)


class SessionStore(db.SessionStore):
    """The cookie lasts for the lifetime; the row knows the end, which is what counts."""

    def create_model_instance(self, data: dict[str, Any]) -> Session:
        data.setdefault(BEGAN, int(time.time()))
        row = super().create_model_instance(data)
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
    began = datetime.fromtimestamp(data.get(BEGAN, time.time()), UTC)
    return began + settings.SESSION_LIFETIME


def now() -> datetime:
    return datetime.now(UTC)
