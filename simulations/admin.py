from collections import Counter
from collections.abc import Iterable
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import (
    Case,
    Count,
    Exists,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    TextField,
    Value,
    When,
)
from django.http import HttpRequest, HttpResponse
from django.template.defaultfilters import truncatechars
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.views.decorators.http import require_safe

from config.admin import LargeTable
from knowledge.neutral import show_unsafe
from knowledge.revision_admin import RevisionAdmin
from simulations import curation, services
from simulations.agent_admin import AgentAdmin
from simulations.assistant_forms import AssistantForm
from simulations.erasure_admin import ErasureAdmin
from simulations.models import (
    ASSISTANT_REFUSED,
    Agent,
    Assistant,
    Citation,
    Erasure,
    Run,
    Simulation,
    Status,
    ToolCall,
)
from simulations.rules_admin import clean_again

MAX_FINDINGS_SHOWN = 50


class ReadOnly:
    """What the engine wrote is looked at here, not edited."""

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


class RunInline(ReadOnly, admin.TabularInline):
    model = Run
    fk_name = "simulation"
    show_change_link = True
    # Without the provider's id, which each row has for its title.
    fields = [
        "round",
        "requested_at",
        "accepted_at",
        "finished_at",
        "outcome",
        "adopted",
        "fault",
        "looks",
        "discard_due_at",
        "total_tokens",
    ]


class CitationInline(ReadOnly, admin.StackedInline):
    model = Citation
    fields = ["slug", "title", "category", "found_by", "keywords", "truncated", "text"]


class ToolCallInline(ReadOnly, admin.StackedInline):
    model = ToolCall
    fields = ["round", "name", "arguments", "output"]


class ExtraRunsFilter(admin.SimpleListFilter):
    """Whether a simulation may have been billed more than once."""

    title = "extra runs"
    parameter_name = "extra_runs"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Yes"), ("no", "No")]

    def queryset(
        self, request: HttpRequest, simulations: QuerySet[Simulation]
    ) -> QuerySet[Simulation]:
        extra = Exists(Run.objects.filter(simulation=OuterRef("pk")).extra())
        conditions = {"yes": Q(extra), "no": ~Q(extra)}
        return simulations.filter(conditions.get(self.value(), Q()))


@admin.register(Simulation)
class SimulationAdmin(ReadOnly, LargeTable, admin.ModelAdmin):
    list_display = [
        "excerpt",
        "owner",
        "status",
        "extra_runs",
        "tokens_used",
        "created_at",
        "finished_at",
    ]
    list_filter = ["status", ExtraRunsFilter, "created_at"]
    list_select_related = ["owner"]
    search_fields = ["query", "owner__username", "id"]
    inlines = [RunInline, CitationInline]
    actions = ["cancel", clean_again]
    readonly_fields = ["exact_prompt", "exact_answer"]
    fieldsets = [
        (None, {"fields": ["owner", "status", "query", "query_truncated", "retry_of"]}),
        ("Answer", {"fields": ["answer", "rules_version", "tokens_used"]}),
        ("Failure", {"fields": ["error_code", "error_message", "error_status", "error_detail"]}),
        ("Provenance", {"fields": ["assistant", "conversation", "exact_prompt", "exact_answer"]}),
        (
            "Engine",
            {
                "fields": [
                    "created_at",
                    "admitted_at",
                    "opened_at",
                    "started_at",
                    "round_started_at",
                    "finished_at",
                    "due_at",
                    "step_number",
                    "failed_attempts",
                    "tool_rounds",
                    "awaits_outputs",
                    "stop_reason",
                    "stop_requested_at",
                    "idempotency_key",
                    "request_id",
                ]
            },
        ),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Simulation]:
        extra = Run.objects.filter(simulation=OuterRef("pk")).extra().order_by()
        count = extra.values("simulation").annotate(count=Count("pk")).values("count")
        return super().get_queryset(request).annotate(extra_count=Subquery(count))

    @admin.display(description="prompt")
    def exact_prompt(self, simulation: Simulation) -> str:
        return show_unsafe(simulation.prompt)

    @admin.display(description="raw answer")
    def exact_answer(self, simulation: Simulation) -> str:
        return show_unsafe(simulation.raw_answer)

    @admin.display(description="query")
    def excerpt(self, simulation: Simulation) -> str:
        return truncatechars(simulation.query, 80)

    @admin.display(description="extra runs", empty_value="")
    def extra_runs(self, simulation: Simulation) -> int | None:
        return simulation.extra_count

    @admin.action(description="Cancel the selected simulations")
    def cancel(self, request: HttpRequest, simulations: QuerySet[Simulation]) -> None:
        results = Counter(map(try_to_cancel, simulations))
        self.message_user(request, f"Cancelled, or being ended at the provider: {results[True]}.")
        if results[False]:
            message = f"Over before, with nothing to cancel: {results[False]}."
            self.message_user(request, message, level=messages.WARNING)


def try_to_cancel(simulation: Simulation) -> bool:
    try:
        services.cancel(simulation)
    except services.StateForbids:
        return False
    return True


@admin.register(Run)
class RunAdmin(ReadOnly, LargeTable, admin.ModelAdmin):
    list_display = ["requested_at", "outcome", "fault", "round", "adopted", "simulation_link"]
    list_filter = ["outcome", "adopted", "requested_at"]
    search_fields = ["provider_id"]
    ordering = ["-requested_at"]
    inlines = [ToolCallInline]

    @admin.display(description="simulation")
    def simulation_link(self, run: Run) -> str:
        """By its id alone: the row itself is large."""
        url = reverse("admin:simulations_simulation_change", args=[run.simulation_id])
        return format_html('<a href="{}">{}</a>', url, run.simulation_id)


@admin.register(Assistant)
class AssistantAdmin(RevisionAdmin):
    form = AssistantForm
    list_display = [
        "name",
        "model_name",
        "remote_assistant_id",
        "is_active",
        "is_default",
        "refusal",
    ]
    list_filter = ["is_active"]
    search_fields = ["name", "model", "remote_id"]
    readonly_fields = ["refusal"]
    # Not whether it is active: what is switched off is not switched on for an old text.
    restored_fields = [name for name in AssistantForm.Meta.fields if name != "is_active"]
    actions = ["make_default"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Assistant]:
        """With what the provider refused of the latest question, if it did."""
        answered = Simulation.objects.filter(assistant=OuterRef("pk"), finished_at__isnull=False)
        latest = answered.exclude(status=Status.CANCELLED).order_by("-finished_at")
        refused = When(error_code=ASSISTANT_REFUSED, then="error_detail")
        described = Case(refused, default=Value(""), output_field=TextField())
        detail = latest.annotate(detail=described).values("detail")[:1]
        return super().get_queryset(request).annotate(refusal=Subquery(detail))

    def get_fields(self, request: HttpRequest, obj: Assistant | None = None) -> list[str]:
        return [*(self.readonly_fields if obj else []), *AssistantForm.Meta.fields]

    @admin.display(description="refused by the provider")
    def refusal(self, assistant: Assistant) -> str:
        return assistant.refusal or "No"

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        Assistant.objects.current()
        return super().changelist_view(request, *args, **kwargs)

    def save_model(
        self, request: HttpRequest, obj: Assistant, form: AssistantForm, change: bool
    ) -> None:
        super().save_model(request, obj, form, change)
        if form.doubt:
            self.message_user(request, f"{form.doubt} It is saved.", level=messages.WARNING)

    def get_deleted_objects(self, objs: Iterable[Assistant], request: HttpRequest) -> tuple:
        deleted, counts, needed, protected = super().get_deleted_objects(objs, request)
        default = [assistant for assistant in objs if assistant.is_default]
        why = [f"{one} is the default: make another one the default first." for one in default]
        return deleted, counts, needed, [*protected, *why]

    @admin.action(description="Make the selected assistant the default")
    def make_default(self, request: HttpRequest, assistants: QuerySet[Assistant]) -> None:
        if assistants.count() != 1:
            self.message_user(request, "Select one assistant.", level=messages.ERROR)
            return
        assistant = assistants.get()
        try:
            Assistant.objects.make_default(assistant)
        except ValidationError as error:
            self.message_user(request, error.message, level=messages.ERROR)
        else:
            self.message_user(request, f"New simulations go to {assistant}.")


admin.site.register(Agent, AgentAdmin)
admin.site.register(Erasure, ErasureAdmin)


@admin.site.admin_view
@require_safe
def curation_health(request: HttpRequest) -> TemplateResponse:
    context = admin.site.each_context(request) | {
        "title": "Curation health",
        "health": curation.examine(),
        "max_shown": MAX_FINDINGS_SHOWN,
        "shown": f":{MAX_FINDINGS_SHOWN}",
    }
    return TemplateResponse(request, "admin/curation_health.html", context)
