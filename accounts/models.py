from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.contrib.auth.models import UserManager as DjangoUserManager
from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone
from knox.models import AbstractAuthToken


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


class UserManager(DjangoUserManager):
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


class User(AbstractUser):
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


class ApiToken(AbstractAuthToken):
    """A bearer token: only its hash is stored, the token itself is shown once."""

    # Writing the time of every request would cost each poll a query.
    LAST_USED_PRECISION = timedelta(minutes=10)

    name = models.CharField(max_length=100, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created"]
        verbose_name = "API token"

    def __str__(self) -> str:
        return f"{self.name or 'token'} of {self.user}"

    @property
    def is_expired(self) -> bool:
        return self.expiry is not None and self.expiry <= timezone.now()

    def touch(self) -> None:
        now = timezone.now()
        if self.last_used_at is None or now - self.last_used_at > self.LAST_USED_PRECISION:
            ApiToken.objects.filter(pk=self.pk).update(last_used_at=now)
