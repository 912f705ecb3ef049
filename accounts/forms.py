from datetime import timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth import authenticate
from django.contrib.auth.forms import (
    AdminUserCreationForm,
    AuthenticationForm,
    PasswordChangeForm,
    UserChangeForm,
)
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils import timezone

from accounts.lockout import find_lockout
from accounts.models import Module, User


class SignInForm(AuthenticationForm):
    error_messages = {
        "invalid_login": "Wrong username or password. Both may be case-sensitive.",
        "inactive": "This account is disabled. Ask an administrator.",
    }

    def get_invalid_login_error(self) -> ValidationError:
        lockout = find_lockout(self.request)
        return ValidationError(lockout.message) if lockout else super().get_invalid_login_error()


class ModulesField(forms.MultipleChoiceField):
    """Checkboxes for a list on the row."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            choices=Module.choices,
            widget=forms.CheckboxSelectMultiple,
            required=False,
            help_text="What the user may use. Being ADMIN does not open a module.",
            **kwargs,
        )


class UserForm(UserChangeForm):
    modules = ModulesField()

    class Meta(UserChangeForm.Meta):
        model = User


class NewUserForm(AdminUserCreationForm):
    modules = ModulesField()

    class Meta(AdminUserCreationForm.Meta):
        model = User
        fields = ["username", "email", "role", "modules", "monthly_simulation_limit"]


class TokenForm(forms.Form):
    prefix = "token"

    name = forms.CharField(
        max_length=100,
        help_text="What will use it, such as “nightly report”.",
        error_messages={"required": "Give the token a name, so that you know what uses it."},
    )
    days = forms.TypedChoiceField(label="Expires", coerce=int, initial=30)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["days"].choices = [
            (days, f"in {days} days ({timezone.now() + timedelta(days=days):%-d %b %Y})")
            for days in (7, 30, 90, 365)
        ]

    @property
    def lifetime(self) -> timedelta:
        return timedelta(days=self.cleaned_data["days"])


def confirm_password(request: HttpRequest, password: str) -> str:
    """Failures count as failures to sign in: a session left open is no way to guess it."""
    if authenticate(request, username=request.user.get_username(), password=password) is None:
        lockout = find_lockout(request)
        raise ValidationError(lockout.message if lockout else "This is not your current password.")
    return password


class CodeForm(forms.Form):
    """A code of the second factor, `of` the app, a recovery code, or either."""

    kinds = {
        "app": {
            "label": "Code",
            "help_text": "The six digits that your authenticator app shows for Sitrep.",
            "attrs": {"autocomplete": "one-time-code", "inputmode": "numeric"},
        },
        "recovery": {
            "label": "Recovery code",
            "help_text": "One of those you kept when you set up the app. Each works once.",
            "attrs": {"autocomplete": "off"},
        },
        "either": {
            "label": "Code",
            "help_text": "The six digits of your authenticator app, or a recovery code.",
            "attrs": {"autocomplete": "one-time-code"},
        },
    }

    code = forms.CharField(max_length=100, widget=forms.TextInput(attrs={"spellcheck": "false"}))

    def __init__(self, *args: Any, of: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        kind, code = self.kinds[of], self.fields["code"]
        code.label, code.help_text = kind["label"], kind["help_text"]
        code.widget.attrs |= kind["attrs"]


class ConfirmedForm(CodeForm):
    """A code and the password again, for what changes how one signs in."""

    prefix = "factor"

    password = forms.CharField(
        label="Current password",
        max_length=4096,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request = request

    def clean_password(self) -> str:
        return confirm_password(self.request, self.cleaned_data["password"])


class NewPasswordForm(PasswordChangeForm):
    """Also asks what is to become of tokens; sign-ins elsewhere end in any case."""

    prefix = "password"
    error_messages = PasswordChangeForm.error_messages | {
        "password_mismatch": "The two new passwords are not the same.",
    }

    revoke_tokens = forms.BooleanField(
        label="Revoke my API tokens too",
        required=False,
        help_text="Otherwise programs keep their tokens. Tick it if somebody may know your "
        "password.",
    )

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().__init__(request.user, *args, **kwargs)
        self.request = request
        old, new, again = (
            self.fields[name] for name in ("old_password", "new_password1", "new_password2")
        )
        del old.widget.attrs["autofocus"]
        old.label, new.label, again.label = "Current password", "New password", "New password again"
        new.help_text = (
            f"At least {settings.SHORTEST_PASSWORD} characters. "
            "Not a common password, nor one like your name or this site’s."
        )
        again.help_text = ""

    def clean_old_password(self) -> str:
        return confirm_password(self.request, self.cleaned_data["old_password"])
