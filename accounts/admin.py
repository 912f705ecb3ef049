from datetime import datetime

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.db.models import Max, QuerySet, Sum, Window
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils import timezone
from django_otp.plugins.otp_totp.admin import TOTPDevice

from accounts import second_factor
from accounts.audit import AuditEntry
from accounts.forms import NewUserForm, UserForm
from accounts.models import ApiToken, FailedSignIn, User
from accounts.withholding import WithholdsArticles
from config.admin import LargeTable, NotEdited, ReadOnly

# Nouns whose values need the knowledge base's module.
OF_KNOWLEDGE = {"article", "keyword", "article of a keyword"}

admin.site.unregister(Group)  # the role says what a user may do
# It would show keys. It is imported from the plugin's admin, so that it is registered by now.
admin.site.unregister(TOTPDevice)


@admin.register(AuditEntry)
class AuditEntryAdmin(WithholdsArticles, ReadOnly, LargeTable, admin.ModelAdmin):
    list_display = ["at", "actor", "action", "noun", "object_name", "fields_changed"]
    list_display_links = ["at", "object_name"]
    list_filter = ["noun", "action"]
    date_hierarchy = "at"
    search_fields = ["actor", "object_name", "object_id", "request_id"]
    search_help_text = "Who did it, or what was changed: a name or an id."
    fields = ["at", "actor", "action", "noun", "object_name", "object_id", "difference"]
    fields += ["request_id"]
    readonly_fields = ["difference"]
    withheld_field = "difference"

    def withholds(self, request: HttpRequest, obj: AuditEntry | None) -> bool:
        return bool(obj) and obj.noun in OF_KNOWLEDGE and super().withholds(request, obj)

    @admin.display(description="fields")
    def fields_changed(self, entry: AuditEntry) -> str:
        return ", ".join(entry.changes) if entry.action == AuditEntry.Action.CHANGED else ""

    @admin.display(description="before and after")
    def difference(self, entry: AuditEntry) -> str:
        return render_to_string("admin/audit_changes.html", {"changes": entry.changes})


@admin.register(User)
class UserAdmin(LargeTable, DjangoUserAdmin):
    form = UserForm
    add_form = NewUserForm
    list_display = ["username", "role", "module_list", "limit", "is_active", "two_factors"]
    list_display += ["last_login"]
    list_filter = ["role", "is_active", ("second_factor_since", admin.EmptyFieldListFilter)]
    search_fields = ["username", "email", "first_name", "last_name"]
    filter_horizontal = []
    readonly_fields = ["last_login", "date_joined", "second_factor_since", "sign_ins_ended_at"]
    actions = ["sign_out", "reset_second_factor"]
    access = ["role", "modules", "monthly_simulation_limit"]
    fieldsets = [
        (None, {"fields": ["username", "password"]}),
        ("Person", {"fields": ["first_name", "last_name", "email"]}),
        ("Access", {"fields": ["is_active", *access]}),
        ("Dates", {"fields": readonly_fields}),
    ]
    add_fieldsets = [
        (None, {"fields": ["username", "email", "usable_password", "password1", "password2"]}),
        ("Access", {"fields": access}),
    ]

    @admin.action(description="Sign the chosen users out everywhere", permissions=["change"])
    def sign_out(self, request: HttpRequest, chosen: QuerySet[User]) -> None:
        count = chosen.end_sign_ins()
        who = "1 user is" if count == 1 else f"{count} users are"
        messages.success(request, f"{who} signed out everywhere. API tokens go on working.")

    @admin.display(description="modules")
    def module_list(self, user: User) -> str:
        return ", ".join(user.modules) or "none"

    @admin.display(description="monthly limit", ordering="monthly_simulation_limit")
    def limit(self, user: User) -> int:
        return user.monthly_simulation_limit

    @admin.display(description="second factor", boolean=True, ordering="second_factor_since")
    def two_factors(self, user: User) -> bool:
        return user.has_second_factor

    @admin.action(description="Reset the second factor of the chosen users", permissions=["change"])
    def reset_second_factor(self, request: HttpRequest, chosen: QuerySet[User]) -> None:
        reset = list(chosen.exclude(second_factor_since=None))
        for user in reset:
            second_factor.remove(user)
        names = ", ".join(user.get_username() for user in reset) or "nobody"
        messages.success(request, f"Reset for: {names}. They are signed out everywhere.")


@admin.register(ApiToken)
class ApiTokenAdmin(NotEdited, LargeTable, admin.ModelAdmin):
    """Tokens can be seen and revoked here, never made: they are shown to their owner alone."""

    list_display = ["user", "name", "created", "expiry", "last_used_at"]
    list_select_related = ["user"]
    search_fields = ["user__username", "name"]
    fields = ["user", "name", "created", "expiry", "last_used_at"]


@admin.register(FailedSignIn)
class FailedSignInAdmin(NotEdited, LargeTable, admin.ModelAdmin):
    """Who is locked out, and the way to let them in again."""

    list_display = ["username", "ip_address", "failures_since_start", "attempt_time", "locked_out"]
    search_fields = ["username", "ip_address"]
    fields = ["username", "ip_address", "user_agent", "failures_since_start", "attempt_time"]
    actions = ["lift"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[FailedSignIn]:
        """A row is for one browser; those of a user at one address count together."""
        together = {"partition_by": ["username", "ip_address"]}
        return (
            super()
            .get_queryset(request)
            .annotate(
                failures=Window(Sum("failures_since_start"), **together),
                latest=Window(Max("attempt_time"), **together),
            )
        )

    @admin.display(description="locked out until")
    def locked_out(self, failed: FailedSignIn) -> datetime | None:
        ends = failed.latest + settings.AXES_COOLOFF_TIME
        is_locked = failed.failures >= settings.AXES_FAILURE_LIMIT and ends > timezone.now()
        return ends if is_locked else None

    @admin.action(description="Let the chosen users in again from these addresses")
    def lift(self, request: HttpRequest, chosen: QuerySet[FailedSignIn]) -> None:
        for username, address in set(chosen.values_list("username", "ip_address")):
            FailedSignIn.objects.filter(username=username, ip_address=address).delete()
        messages.success(request, "They can sign in again.")
