from typing import Any

from django import forms
from django.contrib.auth.forms import AdminUserCreationForm, AuthenticationForm, UserChangeForm

from accounts.models import Module, User


class SignInForm(AuthenticationForm):
    error_messages = {
        "invalid_login": "Wrong username or password. Both may be case-sensitive.",
        "inactive": "This account is disabled. Ask an administrator.",
    }


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
