"""Agents over the API: for administrators alone."""

from copy import copy
from typing import Any, ClassVar

from django.core.exceptions import ValidationError as ModelError
from django.db import models
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema_view
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import ValidationError
from rest_framework.views import APIView

from accounts.models import User
from accounts.permissions import IsAdmin
from config.requests import check_empty, read_parameters
from config.resources import ItemView, ResourcePagination, created, page_of, save
from config.serializers import PageParameters, TextField, WriteSerializer
from simulations import services
from simulations.agents import openapi
from simulations.api import AssistantField, accepted, read_idempotency_key
from simulations.models import Agent, AgentRun, Assistant

NAME_TAKEN: dict[str, list[str]] = {
    "name": ["Another agent has this name: choose another one."],
}


class OwnerField(serializers.SlugRelatedField):
    default_error_messages: ClassVar = {
        "does_not_exist": "No user is named {value}.",
        "invalid": "Send a username.",
    }


class AgentSerializer(WriteSerializer):
    name = TextField(max_length=100)
    query = TextField(trim_whitespace=False)
    assistant = AssistantField(
        queryset=Assistant.objects.all(),
        required=False,
        allow_null=True,
        help_text="An id; null: whichever is the default one then.",
    )
    owner = OwnerField(slug_field="username", queryset=User.objects.all(), help_text="A username.")
    schedule = TextField(max_length=100, allow_blank=True, required=False)
    time_zone = TextField(max_length=64, required=False)

    class Meta:
        model = Agent
        fields = [
            "id",
            "name",
            "query",
            "assistant",
            "owner",
            "is_enabled",
            "schedule",
            "time_zone",
            "schedule_in_words",
            "next_run_at",
            "created_at",
        ]
        read_only_fields = ["id", "schedule_in_words", "next_run_at", "created_at"]

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        agent = copy(self.instance) if self.instance else Agent()
        for name, value in attrs.items():
            setattr(agent, name, value)
        try:
            # Skips the constraint on `next_run_at`, which `save` recomputes.
            agent.full_clean(validate_constraints=False)
        except ModelError as error:
            raise ValidationError(error.message_dict) from error
        return attrs


class AgentRunSerializer(serializers.ModelSerializer):
    started_by = serializers.SlugRelatedField(
        slug_field="username", read_only=True, help_text="A username; null: the schedule did."
    )
    skipped = serializers.CharField(
        help_text="Why it did not run, `times` in a row from `since` to `at`; empty where it did."
    )
    status = serializers.CharField(
        source="simulation.status", default=None, help_text="Of its `simulation`, if it ran."
    )

    class Meta:
        model = AgentRun
        fields = ["id", "since", "at", "times", "started_by", "skipped", "simulation", "status"]


class AgentPagination(ResourcePagination):
    ordering = ("id",)


class AgentRunPagination(ResourcePagination):
    ordering = ("-id",)


@extend_schema_view(**openapi.all_agents(AgentSerializer, PageParameters))
class AgentsView(APIView):
    permission_classes = [IsAdmin]

    def get(self, request: Request) -> Response:
        read_parameters(PageParameters, request)
        agents = Agent.objects.select_related("owner")
        return page_of(self, AgentPagination(), agents, AgentSerializer)

    def post(self, request: Request) -> Response:
        serializer = AgentSerializer(data=request.data)
        agent = save(serializer, taken=NAME_TAKEN)
        return created(serializer, "api:agent", agent.pk)


@extend_schema_view(**openapi.one_agent(AgentSerializer))
class AgentView(ItemView):
    permission_classes = [IsAdmin]
    serializer = AgentSerializer
    taken: ClassVar = NAME_TAKEN

    def rows(self) -> models.QuerySet[Agent]:
        return Agent.objects.all()


class AgentRunsView(APIView):
    permission_classes = [IsAdmin]

    @openapi.agent_runs(AgentRunSerializer, PageParameters)
    def get(self, request: Request, pk: int) -> Response:
        read_parameters(PageParameters, request)
        runs = get_object_or_404(Agent, pk=pk).runs.select_related("started_by", "simulation")
        return page_of(self, AgentRunPagination(), runs, AgentRunSerializer)


class RunAgentView(APIView):
    permission_classes = [IsAdmin]

    @openapi.run_agent
    def post(self, request: Request, pk: int) -> Response:
        check_empty(request)
        key = read_idempotency_key(request)
        agent = get_object_or_404(Agent, pk=pk)
        simulation = services.run_agent(agent, started_by=request.user, idempotency_key=key)
        return accepted(request, simulation)
