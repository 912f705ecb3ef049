from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse

from simulations.cron import time_zones
from simulations.models import Agent


class AgentForm(forms.ModelForm):
    time_zone = forms.ChoiceField(initial="UTC", help_text="Of the schedule.")

    class Meta:
        model = Agent
        fields = ["name", "is_enabled", "query", "assistant", "owner", "schedule", "time_zone"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Its own too: without it, browsers would choose and send the first.
        names = sorted({*time_zones(), self.instance.time_zone})
        self.fields["time_zone"].choices = [(name, name) for name in names]


class AgentAdmin(admin.ModelAdmin):
    """History and next times are on the agent's page of the site: `view_on_site`."""

    form = AgentForm
    list_display = ["name", "owner", "assistant", "is_enabled", "schedule_in_words", "next_run_at"]
    list_filter = ["is_enabled", "owner"]
    list_select_related = ["owner", "assistant"]
    search_fields = ["name", "query", "owner__username"]
    autocomplete_fields = ["owner"]
    readonly_fields = ["schedule_in_words", "next_run_at"]
    fields = [*AgentForm.Meta.fields, *readonly_fields]

    def get_readonly_fields(self, request: HttpRequest, obj: Agent | None = None) -> list[str]:
        return self.readonly_fields if obj else []

    def get_fields(self, request: HttpRequest, obj: Agent | None = None) -> list[str]:
        return [*AgentForm.Meta.fields, *self.get_readonly_fields(request, obj)]

    def view_on_site(self, agent: Agent) -> str:
        return reverse("agents:detail", args=[agent.pk])

    @admin.display(description="in words")
    def schedule_in_words(self, agent: Agent) -> str:
        return agent.schedule_in_words
