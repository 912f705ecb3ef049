from collections import Counter
from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest
from django.template.defaultfilters import truncatechars
from django.urls import reverse
from django.utils.html import format_html

from accounts.withholding import WithholdsArticles
from config.admin import LargeTable, ReadOnly
from knowledge.neutral import show_unsafe
from simulations import services
from simulations.agents.admin import AgentAdmin
from simulations.answer_rules.admin import clean_again
from simulations.assistants.admin import AssistantAdmin
from simulations.models import (
    Agent,
    Assistant,
    Citation,
    Erasure,
    Price,
    Run,
    Simulation,
    SimulationQuerySet,
    ToolCall,
)
from simulations.privacy.admin import ErasureAdmin
from simulations.usage.admin import PriceAdmin


class RunInline(ReadOnly, admin.TabularInline):
    model = Run
    fk_name = "simulation"
    show_change_link = True
    readonly_fields = ["fault_message"]
    # Without the provider's id, which each row has for its title.
    fields = [
        "round",
        "requested_at",
        "accepted_at",
        "finished_at",
        "outcome",
        "adopted",
        "fault_message",
        "fault_detail",
        "looks",
        "discard_due_at",
        "total_tokens",
    ]


class CitationInline(WithholdsArticles, ReadOnly, admin.StackedInline):
    model = Citation
    withheld_field = "text"
    fields = ["slug", "title", "category", "found_by", "keywords", "truncated", "text"]


class ToolCallInline(WithholdsArticles, ReadOnly, admin.StackedInline):
    model = ToolCall
    withheld_field = "output"
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


class UncleanedFilter(admin.SimpleListFilter):
    title = "answer"
    parameter_name = "answer"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("uncleaned", "not cleaned")]

    def queryset(self, request: HttpRequest, simulations: SimulationQuerySet) -> SimulationQuerySet:
        return simulations.uncleaned() if self.value() == "uncleaned" else simulations


@admin.register(Simulation)
class SimulationAdmin(WithholdsArticles, ReadOnly, LargeTable, admin.ModelAdmin):
    list_display = ["excerpt", "owner", "status", "extra_runs", "tokens_used", "created_at"]
    list_filter = ["status", ExtraRunsFilter, UncleanedFilter, "created_at"]
    list_select_related = ["owner"]
    search_fields = ["query", "owner__username", "id"]
    inlines = [RunInline, CitationInline]
    actions = ["cancel", clean_again]
    readonly_fields = ["exact_prompt", "exact_answer"]
    withheld_field = "exact_prompt"
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
    except services.InvalidState:
        return False
    return True


@admin.register(Run)
class RunAdmin(ReadOnly, LargeTable, admin.ModelAdmin):
    list_display = [
        *("requested_at", "outcome", "fault_message", "fault_detail"),
        *("round", "adopted", "simulation_link"),
    ]
    list_filter = ["outcome", "adopted", "requested_at"]
    search_fields = ["provider_id"]
    ordering = ["-requested_at"]
    inlines = [ToolCallInline]

    @admin.display(description="simulation")
    def simulation_link(self, run: Run) -> str:
        """By its id alone: the row itself is large."""
        url = reverse("admin:simulations_simulation_change", args=[run.simulation_id])
        return format_html('<a href="{}">{}</a>', url, run.simulation_id)


admin.site.register(Agent, AgentAdmin)
admin.site.register(Assistant, AssistantAdmin)
admin.site.register(Erasure, ErasureAdmin)
admin.site.register(Price, PriceAdmin)
