from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import truncatechars

from simulations.models import Assistant, Citation, Run, Simulation


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
    fields = [
        "round",
        "requested_at",
        "accepted_at",
        "finished_at",
        "provider_id",
        "outcome",
        "adopted",
        "fault",
        "total_tokens",
    ]


class CitationInline(ReadOnly, admin.StackedInline):
    model = Citation
    fields = ["slug", "title", "category", "keywords", "truncated", "text"]


@admin.register(Simulation)
class SimulationAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ["excerpt", "owner", "status", "tokens_used", "created_at", "finished_at"]
    list_filter = ["status", "created_at"]
    list_select_related = ["owner"]
    search_fields = ["query", "owner__username", "id"]
    inlines = [RunInline, CitationInline]
    fieldsets = [
        (None, {"fields": ["owner", "status", "query", "query_truncated"]}),
        ("Answer", {"fields": ["answer", "tokens_used"]}),
        ("Failure", {"fields": ["error_code", "error_message", "error_status", "error_detail"]}),
        ("Provenance", {"fields": ["assistant", "conversation", "prompt", "raw_answer"]}),
        (
            "Engine",
            {
                "fields": [
                    "created_at",
                    "claimed_at",
                    "opened_at",
                    "started_at",
                    "finished_at",
                    "due_at",
                    "step_number",
                    "failed_attempts",
                    "stop_reason",
                ]
            },
        ),
    ]

    @admin.display(description="query")
    def excerpt(self, simulation: Simulation) -> str:
        return truncatechars(simulation.query, 80)


@admin.register(Assistant)
class AssistantAdmin(admin.ModelAdmin):
    list_display = ["name", "model_name", "remote_assistant_id", "is_default"]
    fields = ["name", "model", "remote_id", "instructions", "max_output_tokens"]
    actions = ["make_default"]

    def has_delete_permission(self, request: HttpRequest, obj: Assistant | None = None) -> bool:
        return obj is None or not obj.is_default

    def delete_queryset(self, request: HttpRequest, assistants: QuerySet[Assistant]) -> None:
        assistants.filter(is_default=False).delete()

    @admin.action(description="Make the selected assistant the default")
    def make_default(self, request: HttpRequest, assistants: QuerySet[Assistant]) -> None:
        if assistants.count() != 1:
            self.message_user(request, "Select one assistant.", level=messages.ERROR)
            return
        assistant = assistants.get()
        Assistant.objects.make_default(assistant)
        self.message_user(request, f"New simulations go to {assistant}.")
