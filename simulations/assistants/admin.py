from collections.abc import Iterable
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import Case, OuterRef, QuerySet, Subquery, TextField, Value, When
from django.http import HttpRequest, HttpResponse

from knowledge.revision_admin import RevisionAdmin
from simulations.assistants.forms import AssistantForm
from simulations.models import Assistant, ErrorCode, Simulation, Status


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
        refused = When(error_code=ErrorCode.ASSISTANT_REFUSED, then="error_detail")
        described = Case(refused, default=Value(""), output_field=TextField())
        detail = latest.annotate(detail=described).values("detail")[:1]
        return super().get_queryset(request).annotate(refusal=Subquery(detail))

    def get_fields(self, request: HttpRequest, obj: Assistant | None = None) -> list[str]:
        return [*(self.readonly_fields if obj else []), *AssistantForm.Meta.fields]

    @admin.display(description="refused by the provider")
    def refusal(self, assistant: Assistant) -> str:
        return assistant.refusal or "No"

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        Assistant.objects.get_or_create_default()
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
