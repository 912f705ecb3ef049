from datetime import timedelta
from typing import Any

from django import forms
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


class NewPasswordForm(PasswordChangeForm):
    """Also asks what is to become of tokens; sign-ins elsewhere end in any case.

    Failures to name the current password count as failures to sign in: a session that was left
    open is no way to guess it.
    """

    prefix = "password"
    error_messages = PasswordChangeForm.error_messages | {
        "password_incorrect": "This is not your current password.",
        "password_mismatch": "The two new passwords are not the same.",
    }

    revoke_tokens = forms.BooleanField(
        label="Revoke my API tokens too",
        required=False,
        help_text="Programs keep their tokens otherwise. Tick it if somebody may know your "
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
        new.help_text = "At least 12 characters. Not a common password, nor one like your name."
        again.help_text = ""

    def clean_old_password(self) -> str:
        password = self.cleaned_data["old_password"]
        username = self.user.get_username()
        if authenticate(self.request, username=username, password=password) is None:
            lockout = find_lockout(self.request)
            wrong = self.error_messages["password_incorrect"]
            raise ValidationError(lockout.message if lockout else wrong)
        return password
