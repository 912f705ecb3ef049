from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from axes.models import AccessAttempt
from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.contrib.auth.models import UserManager as DjangoUserManager
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac
from knox.models import AbstractAuthToken, AuthTokenManager

from accounts.audit import Audited, AuditedQuerySet
from accounts.sessions import BrowserSession as BrowserSession
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


class UserQuerySet(AuditedQuerySet):
    def update(self, **changes: Any) -> int:
        if changes.get("is_active") is False:
            changes["sign_ins_ended_at"] = timezone.now()
        return super().update(**changes)

    update.alters_data = True

    def end_sign_ins(self) -> int:
        """Sessions and sign-ins over the API; programs keep their tokens."""
        return self.update(sign_ins_ended_at=timezone.now())

    end_sign_ins.alters_data = True


class UserManager(DjangoUserManager.from_queryset(UserQuerySet)):
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
    second_factor_since = models.DateTimeField(
        "second factor since",
        null=True,
        blank=True,
        editable=False,
        help_text="Since when codes of an authenticator app are asked for at sign-in.",
    )
    sign_ins_ended_at = models.DateTimeField(
        "sign-ins ended at",
        null=True,
        editable=False,
        help_text="What was signed in before is over.",
    )

    objects = UserManager()
    not_audited = frozenset({"last_login"})
    secrets = frozenset({"password"})
    # Written only when named in `update_fields`, so that a stale instance can't undo them.
    written_by_name = frozenset({"sign_ins_ended_at", "second_factor_since"})

    class Meta(AbstractUser.Meta):
        constraints = [
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="user_role_known")
        ]

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Disabling ends what is signed in; nothing that was read before brings it back."""
        if not self._state.adding:
            kwargs["update_fields"] = self._fields_to_write(kwargs.get("update_fields"))
        super().save(*args, **kwargs)

    def _fields_to_write(self, named: Iterable[str] | None) -> set[str]:
        fields = {field.name for field in self._meta.concrete_fields if not field.primary_key}
        names = fields - self.written_by_name if named is None else set(named)
        if "is_active" in names and not self.is_active:
            self.sign_ins_ended_at = timezone.now()
            names.add("sign_ins_ended_at")
        return names

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        """Of what ends sessions and sign-ins when it changes.

        The second factor is one of them, and that one is missing: so whoever is signed in has shown
        all that is asked for now, and no request needs to look whether they have.
        """
        of_password = super()._get_session_auth_hash(secret)
        others = (self.sign_ins_ended_at, self.second_factor_since, self.must_enrol)
        if not any(others):
            return of_password
        marks = " ".join(str(mark) for mark in (of_password, *others))
        return salted_hmac("accounts.User.sign_ins", marks, secret, algorithm="sha256").hexdigest()

    @property
    def is_staff(self) -> bool:
        return self.role == Role.ADMIN

    @property
    def is_superuser(self) -> bool:
        return self.role == Role.ADMIN

    @property
    def has_second_factor(self) -> bool:
        return self.second_factor_since is not None

    @property
    def must_enrol(self) -> bool:
        """They can't sign in until they have set up their second factor."""
        return settings.SECOND_FACTOR_REQUIRED and self.is_staff and not self.has_second_factor

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
        """The user's tokens, without expired ones and sign-ins that are over."""
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

    One that was traded for a password stands for a session, and ends as that would: with that
    password, however it is changed, or when its owner is disabled or signed out. The others belong
    to programs, and outlive it.
    """

    # Writing the time of every request would cost each poll a query.
    LAST_USED_PRECISION = timedelta(minutes=10)
    LONGEST_LIFETIME = timedelta(days=365)

    name = models.CharField(max_length=100, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    session_hash = models.CharField(
        max_length=64, blank=True, help_text="Of a sign-in: what it ends with."
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
        """Expired, or the sign-in has ended. There are none without an end."""
        if self.expiry is None or self.expiry <= timezone.now():
            return True
        return self.is_sign_in and not constant_time_compare(
            self.session_hash, self.user.get_session_auth_hash()
        )

    def touch(self) -> None:
        now = timezone.now()
        if self.last_used_at is None or now - self.last_used_at > self.LAST_USED_PRECISION:
            ApiToken.objects.filter(pk=self.pk).update(last_used_at=now)


class RecoveryCode(models.Model):
    """Stands in once for a code of the authenticator app; stored as a hash of its 120 bits."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="recovery_codes")
    digest = models.CharField(max_length=64)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "digest"], name="recovery_code_once")
        ]

    def __str__(self) -> str:
        return f"recovery code of {self.user}"


class FailedSignIn(AccessAttempt):
    """What django-axes counts, under a name that says what it is to whoever lifts a lockout."""

    class Meta:
        proxy = True
        ordering = ["-attempt_time"]
        verbose_name = "failed sign-in"

    def __str__(self) -> str:
        return f"{self.username} from {self.ip_address}"
