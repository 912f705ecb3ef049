from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.http import HttpRequest

from accounts.forms import NewUserForm, UserForm
from accounts.models import ApiToken, User

admin.site.unregister(Group)  # the role says what a user may do


@admin.register(User)
class UserAdmin(DjangoUserAdmin):
    form = UserForm
    add_form = NewUserForm
    list_display = ["username", "email", "role", "module_list", "limit", "is_active", "last_login"]
    list_filter = ["role", "is_active"]
    search_fields = ["username", "email", "first_name", "last_name"]
    filter_horizontal = []
    readonly_fields = ["last_login", "date_joined"]
    access = ["role", "modules", "monthly_simulation_limit"]
    fieldsets = [
        (None, {"fields": ["username", "password"]}),
        ("Person", {"fields": ["first_name", "last_name", "email"]}),
        ("Access", {"fields": ["is_active", *access]}),
        ("Dates", {"fields": ["last_login", "date_joined"]}),
    ]
    add_fieldsets = [
        (None, {"fields": ["username", "email", "usable_password", "password1", "password2"]}),
        ("Access", {"fields": access}),
    ]

    @admin.display(description="modules")
    def module_list(self, user: User) -> str:
        return ", ".join(user.modules) or "none"

    @admin.display(description="monthly limit", ordering="monthly_simulation_limit")
    def limit(self, user: User) -> int:
        return user.monthly_simulation_limit


@admin.register(ApiToken)
class ApiTokenAdmin(admin.ModelAdmin):
    """Tokens can be seen and revoked here, never made: they are shown to their owner alone."""

    list_display = ["user", "name", "created", "expiry", "last_used_at"]
    list_select_related = ["user"]
    search_fields = ["user__username", "name"]
    fields = ["user", "name", "created", "expiry", "last_used_at"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: ApiToken | None = None) -> bool:
        return False
