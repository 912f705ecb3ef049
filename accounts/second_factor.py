"""The second factor: codes of an authenticator app (TOTP, RFC 6238), asked for after the password.

Whoever lost the app signs in with a recovery code, each of which works once. Wrong codes count as
failures to sign in; django-otp also makes who guesses wait, longer each time, wherever they are.
What changes the factor ends all sessions: see `User._get_session_auth_hash`.
"""

import base64
import hashlib
import logging
import math
import re
import secrets
import time
from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth import login
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django_otp.oath import TOTP
from django_otp.plugins.otp_totp.models import TOTPDevice

from accounts.lockout import check_not_locked_out, count_failure
from accounts.models import RecoveryCode, User
from config.errors import AppError, Forbidden, Unauthorized

logger = logging.getLogger(__name__)

APP_CODE = re.compile(r"[0-9]{6}")
KEY_BYTES = 20
RECOVERY_CODES = 8
RECOVERY_BYTES = 15
# How many steps of 30 s a phone's clock may be early or late.
TOLERANCE = 1
# Seconds between the password and the code.
PATIENCE = 600
PENDING = "sign_in"


class CodeRequired(Unauthorized):
    message = "Send the code of your authenticator app, or a recovery code, as `code`."


class WrongCode(Unauthorized):
    message = (
        "This code is not valid, or was used already. Wait for the app's next code, or use a "
        "recovery code."
    )


class TooManyCodes(AppError):
    status_code = 429

    def __init__(self, seconds: int) -> None:
        super().__init__(
            f"Too many wrong codes. Wait {seconds} s, then send the app's newest code.",
            headers={"Retry-After": str(seconds)},
        )


class SecondFactorMissing(Forbidden):
    message = f"Sign in at {settings.FRONTEND_URL} first, and set up your second factor there."


class AlreadyEnrolled(AppError):
    status_code = 409
    message = "Your second factor is set up already."


# --- Setting it up ----------------------------------------------------------------------------


def new_key() -> str:
    """Hexadecimal, as django-otp keeps it."""
    return secrets.token_hex(KEY_BYTES)


def enrol(user: User, key: str, code: str) -> list[str]:
    """Answers the recovery codes. Raises WrongCode, or AlreadyEnrolled."""
    totp = TOTP(bytes.fromhex(key))
    totp.time = time.time()
    code = compact(code)
    if not (APP_CODE.fullmatch(code) and totp.verify(int(code), TOLERANCE)):
        raise WrongCode("This code is not valid. Is the phone's clock right? Send the newest code.")
    with transaction.atomic():
        locked = User.objects.select_for_update(no_key=True).get(pk=user.pk)
        if locked.has_second_factor:
            raise AlreadyEnrolled
        TOTPDevice.objects.filter(user=user).delete()
        # With the time of this code, so that it opens nothing more.
        TOTPDevice.objects.create(user=user, name="app", key=key, last_t=totp.t(), drift=totp.drift)
        user.second_factor_since = timezone.now()
        user.save(update_fields=["second_factor_since"])
        return renew_recovery_codes(user)


@transaction.atomic
def renew_recovery_codes(user: User) -> list[str]:
    codes = [
        base64.b32encode(secrets.token_bytes(RECOVERY_BYTES)).decode()
        for _ in range(RECOVERY_CODES)
    ]
    User.objects.select_for_update(no_key=True).get(pk=user.pk)  # two at once take turns
    user.recovery_codes.all().delete()
    RecoveryCode.objects.bulk_create(RecoveryCode(user=user, digest=digest(code)) for code in codes)
    return [in_groups(code.lower(), "-") for code in codes]


@transaction.atomic
def remove(user: User) -> None:
    # Else what was signed in before it was set up would be open again.
    user.second_factor_since, user.sign_ins_ended_at = None, timezone.now()
    # First, because it waits for a factor that is being set up meanwhile, which then goes too.
    user.save(update_fields=["second_factor_since", "sign_ins_ended_at"])
    TOTPDevice.objects.filter(user=user).delete()
    user.recovery_codes.all().delete()


def compact(code: str) -> str:
    """People copy codes with spaces or hyphens, and type them in either case."""
    return re.sub(r"[\s-]", "", code).upper()


def digest(code: str) -> str:
    return hashlib.sha256(compact(code).encode()).hexdigest()


def in_groups(text: str, separator: str) -> str:
    return separator.join(text[start : start + 4] for start in range(0, len(text), 4))


# --- Asking for it ----------------------------------------------------------------------------


def verify(request: HttpRequest, user: User, code: str) -> None:
    """Uses the code up. Raises WrongCode, TooManyCodes or LockedOut."""
    username = user.get_username()
    check_not_locked_out(request, username)
    code = compact(code)
    is_right = _is_of_app(user, code) if APP_CODE.fullmatch(code) else _is_recovery(user, code)
    if not is_right:
        count_failure(request, username)
        raise WrongCode


@transaction.atomic
def _is_of_app(user: User, code: str) -> bool:
    device = TOTPDevice.objects.select_for_update().filter(user=user, confirmed=True).first()
    if device is None:
        return False
    is_allowed, why = device.verify_is_allowed()
    if not is_allowed:
        wait = why["locked_until"] - timezone.now()
        raise TooManyCodes(max(1, math.ceil(wait.total_seconds())))
    return device.verify_token(code)


def _is_recovery(user: User, code: str) -> bool:
    used, _ = user.recovery_codes.filter(digest=digest(code)).delete()
    if used:
        logger.warning("A recovery code of user %s was used", user.pk)
    return bool(used)


# --- Between the password and the code ----------------------------------------------------------


@dataclass(frozen=True)
class Pending:
    """A sign-in that waits for its code, or for a factor, in a session that is nobody's yet."""

    user: User
    backend: str
    goes_to: str


def begin(request: HttpRequest, user: User, backend: str, goes_to: str) -> None:
    # A session that somebody else knows of must not become one that needs the code alone.
    request.session.cycle_key()
    request.session[PENDING] = {
        "user": user.pk,
        "hash": user.get_session_auth_hash(),
        "backend": backend,
        "goes_to": goes_to,
        "began": time.time(),
    }


def find_pending(request: HttpRequest) -> Pending | None:
    """None too if it took too long, or if password, factor or account were changed meanwhile."""
    began = request.session.get(PENDING)
    if not began or time.time() - began["began"] > PATIENCE:
        return None
    user = User.objects.filter(pk=began["user"]).first()
    if user is None or not constant_time_compare(began["hash"], user.get_session_auth_hash()):
        return None
    return Pending(user, began["backend"], began["goes_to"])


def finish(request: HttpRequest, pending: Pending) -> None:
    del request.session[PENDING]
    login(request, pending.user, pending.backend)
