"""Log lines of who signs in and out, and from where somebody fails to.

No line has the name that was typed: sometimes it is a password. Names are among the failed sign-ins
in the admin, as long as they count.
"""

import logging
from typing import Any

from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db.models import Model
from django.http import HttpRequest

from config.client_address import client_address

logger = logging.getLogger("sitrep.sign_in")


def connect() -> None:
    user_logged_in.connect(log_sign_in)
    user_logged_out.connect(log_sign_out)
    user_login_failed.connect(log_failure)


def log_sign_in(request: HttpRequest, user: Model, **kwargs: Any) -> None:
    log("Signed in", request, logging.INFO, user)


def log_sign_out(request: HttpRequest, user: Model | None, **kwargs: Any) -> None:
    if user:  # a stranger can ask for it too
        log("Signed out", request, logging.INFO, user)


def log_failure(request: HttpRequest | None = None, **kwargs: Any) -> None:
    log("Failed to sign in", request, logging.WARNING)


def log(event: str, request: HttpRequest | None, level: int, user: Model | None = None) -> None:
    address = client_address(request) if request else None
    logger.log(level, event, extra={"address": address, "user_id": user.pk if user else None})
