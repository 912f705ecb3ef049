from datetime import timedelta
from typing import Any

from axes.models import AccessAttempt
from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.contrib.auth.models import UserManager as DjangoUserManager
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from knox.models import AbstractAuthToken, AuthTokenManager

from accounts.audit import Audited, AuditedQuerySet
from config.errors import AppError


class Role(models.TextChoices):
    ADMIN = "ADMIN", "Admin"
    ANALYST = "ANALYST", "Analyst"


class Module(models.TextChoices):
    SIMULATIONS = "simulations", "Simulations"
    KNOWLEDGE_BASE = "knowledge-base", "Knowledge base"


def validate_modules(value: Any) -> None:
    if not isinstance(value, list) or any(module not in Module.values for module in value):
        raise ValidationError(f"Choose modules from: {', '.join(Module.values)}.")


def default_monthly_limit() -> int:
    return settings.MONTHLY_SIMULATION_LIMIT


class UserManager(DjangoUserManager.from_queryset(AuditedQuerySet)):
    def _create_user_object(
        self, username: str, email: str | None, password: str | None, **fields: Any
    ) -> "User":
        # Django passes its two flags; here the role says both.
        fields = {k: v for k, v in fields.items() if k not in {"is_staff", "is_superuser"}}
        return super()._create_user_object(username, email, password, **fields)

    def create_superuser(
        self,
        username: str,
        email: str | None = None,
        password: str | None = None,
        **extra_fields: Any,
    ) -> "User":
        extra_fields = {"role": Role.ADMIN, "modules": Module.values} | extra_fields
        return super().create_superuser(username, email, password, **extra_fields)


class User(Audited, AbstractUser):
    """Who signs in. The role decides about the admin site, the modules about features.

    ADMIN is not exempt from modules: an admin without `simulations` can't submit.
    """

    role = models.CharField(max_length=16, choices=Role, default=Role.ANALYST)
    modules = models.JSONField(default=list, blank=True, validators=[validate_modules])
    monthly_simulation_limit = models.PositiveIntegerField(
        default=default_monthly_limit,
        help_text="Simulations per calendar month (UTC). 0 means none.",
    )

    objects = UserManager()
    not_audited = frozenset({"last_login"})
    secrets = frozenset({"password"})

    class Meta(AbstractUser.Meta):
        constraints = [
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="user_role_known")
        ]

    @property
    def is_staff(self) -> bool:
        return self.role == Role.ADMIN

    @property
    def is_superuser(self) -> bool:
        return self.role == Role.ADMIN

    def has_role(self, *roles: str) -> bool:
        return self.role in roles

    def has_module(self, module: str) -> bool:
        return module in self.modules


class TokenLimitReached(AppError):
    status_code = 409


class TokenNameTaken(AppError):
    status_code = 409


class ApiTokenManager(AuthTokenManager.from_queryset(AuditedQuerySet)):
    """Makes tokens; each method answers the row and the token itself, which is stored nowhere."""

    # Of named tokens, and of sign-ins, for each user.
    LIMIT = 20
    SIGN_IN_LIFETIME = timedelta(hours=12)

    @transaction.atomic
    def issue(self, user: User, name: str, lifetime: timedelta) -> tuple["ApiToken", str]:
        """A token for a program. Raises TokenLimitReached or TokenNameTaken."""
        named = self._clean_up(user).filter(session_hash="")
        if named.filter(name__iexact=name).exists():
            raise TokenNameTaken(
                f"You have a token “{name}” already. Choose another name, or revoke that one first."
            )
        if named.count() >= self.LIMIT:
            raise TokenLimitReached(
                f"You have {self.LIMIT} tokens, which is the most. Revoke one that nothing uses."
            )
        return self.create(user=user, expiry=lifetime, name=name)

    @transaction.atomic
    def sign_in(self, user: User) -> tuple["ApiToken", str]:
        """A token in place of a session. The oldest one ends where there are too many."""
        sign_ins = self._clean_up(user).exclude(session_hash="").order_by("-created")
        kept = sign_ins.values_list("pk", flat=True)[: self.LIMIT - 1]
        sign_ins.exclude(pk__in=list(kept)).delete()
        return self.create(
            user=user,
            expiry=self.SIGN_IN_LIFETIME,
            name="API sign-in",
            session_hash=user.get_session_auth_hash(),
        )

    def usable_by(self, user: User) -> models.QuerySet["ApiToken"]:
        """The user's tokens that have neither expired nor ended with an earlier password."""
        marks = ["", user.get_session_auth_hash()]
        return self.filter(user=user, session_hash__in=marks, expiry__gt=timezone.now())

    def _clean_up(self, user: User) -> models.QuerySet["ApiToken"]:
        """The usable tokens; the others are removed.

        Locks the user's row, so that what is counted is still true when one more is made.
        """
        User.objects.select_for_update(no_key=True).get(pk=user.pk)
        usable = self.usable_by(user)
        self.filter(user=user).exclude(pk__in=list(usable.values_list("pk", flat=True))).delete()
        return usable


class ApiToken(Audited, AbstractAuthToken):
    """A bearer token: only its hash is stored, the token itself is shown once.

    One that was traded for a password stands for a session, and ends with that password, however
    it is changed. The others belong to programs, and outlive it.
    """

    # Writing the time of every request would cost each poll a query.
    LAST_USED_PRECISION = timedelta(minutes=10)
    LONGEST_LIFETIME = timedelta(days=365)

    name = models.CharField(max_length=100, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    session_hash = models.CharField(
        max_length=64, blank=True, help_text="Of a sign-in: stands for the password it ends with."
    )

    objects = ApiTokenManager()
    not_audited = frozenset({"last_used_at"})
    secrets = frozenset({"digest", "session_hash"})

    class Meta:
        ordering = ["-created"]
        verbose_name = "API token"

    def __str__(self) -> str:
        return f"{self.name or 'token'} of {self.user}"

    @property
    def audit_id(self) -> str:
        """The key is a hash of the token."""
        return self.token_key

    @property
    def is_sign_in(self) -> bool:
        return self.session_hash != ""

    @property
    def is_over(self) -> bool:
        """Expired, or the password has changed since the sign-in. There are none without an end."""
        if self.expiry is None or self.expiry <= timezone.now():
            return True
        return self.is_sign_in and not constant_time_compare(
            self.session_hash, self.user.get_session_auth_hash()
        )

    def touch(self) -> None:
        now = timezone.now()
        if self.last_used_at is None or now - self.last_used_at > self.LAST_USED_PRECISION:
            ApiToken.objects.filter(pk=self.pk).update(last_used_at=now)


class FailedSignIn(AccessAttempt):
    """What django-axes counts, under a name that says what it is to whoever lifts a lockout."""

    class Meta:
        proxy = True
        ordering = ["-attempt_time"]
        verbose_name = "failed sign-in"

    def __str__(self) -> str:
        return f"{self.username} from {self.ip_address}"
