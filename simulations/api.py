import re
from datetime import datetime
from typing import Any

from django.shortcuts import get_object_or_404
from rest_framework import serializers
from rest_framework.decorators import api_view
from rest_framework.exceptions import NotFound
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from accounts.api import StrictSerializer, TextField
from accounts.permissions import HasSimulations
from simulations import services
from simulations.manifest import build_manifest
from simulations.models import Assistant, Citation, Simulation
from simulations.quota import Quota

IDEMPOTENCY_KEY = re.compile(r"[!-~]{1,255}")


class QuerySerializer(StrictSerializer):
    query = TextField()


class AssistantField(serializers.PrimaryKeyRelatedField):
    """By its id; left out or null: the default one."""

    default_error_messages = {
        "does_not_exist": "No assistant has the id {pk_value}: choose one of "
        "GET /api/v1/assistants.",
        "incorrect_type": "Send the id of an assistant, a number: GET /api/v1/assistants has them.",
    }


class SubmitSerializer(QuerySerializer):
    # Services say it of one that is switched off: a replay of its question is none.
    assistant = AssistantField(queryset=Assistant.objects.all(), required=False, allow_null=True)


class AssistantSerializer(serializers.ModelSerializer):
    class Meta:
        model = Assistant
        fields = ["id", "name", "is_default"]


class CitationSerializer(serializers.ModelSerializer):
    class Meta:
        model = Citation
        fields = [
            "position",
            "slug",
            "title",
            "category",
            "found_by",
            "keywords",
            "truncated",
        ]


class SimulationSummarySerializer(serializers.ModelSerializer):
    class Meta:
        model = Simulation
        fields = [
            "id",
            "status",
            "query",
            "query_truncated",
            "assistant",
            "conversation",
            "retry_of",
            "tokens_used",
            "created_at",
            "started_at",
            "finished_at",
        ]


class SimulationSerializer(SimulationSummarySerializer):
    """`queue_position`: while it waits for its turn; `is_stopping`: while its run is ended."""

    citations = CitationSerializer(many=True)
    queue_position = serializers.IntegerField()
    is_stopping = serializers.BooleanField()
    error = serializers.SerializerMethodField()

    class Meta(SimulationSummarySerializer.Meta):
        fields = [
            *SimulationSummarySerializer.Meta.fields,
            "queue_position",
            "is_stopping",
            "answer",
            "citations",
            "error",
        ]

    def get_error(self, simulation: Simulation) -> dict[str, Any] | None:
        if not simulation.error_code:
            return None
        return {
            "code": simulation.error_code,
            "message": simulation.error_message,
            "status": simulation.error_status,
        }


class SimulationPagination(CursorPagination):
    page_size = 25
    ordering = ("-created_at", "-id")

    def decode_cursor(self, request: Request) -> Cursor | None:
        cursor = super().decode_cursor(request)
        if cursor is None or cursor.position is None:
            return cursor
        try:
            is_moment = datetime.fromisoformat(cursor.position).tzinfo is not None
        except ValueError:
            is_moment = False
        if not is_moment:
            raise NotFound(self.invalid_cursor_message)
        return cursor


class SimulationsView(APIView):
    permission_classes = [HasSimulations]

    def get(self, request: Request) -> Response:
        pages = SimulationPagination()
        page = pages.paginate_queryset(
            Simulation.objects.visible_to(request.user), request, view=self
        )
        return pages.get_paginated_response(SimulationSummarySerializer(page, many=True).data)

    def post(self, request: Request) -> Response:
        asked = read_body(SubmitSerializer, request)
        key = read_idempotency_key(request)
        return accepted(request, services.submit(request.user, **asked, idempotency_key=key))


class SimulationView(APIView):
    permission_classes = [HasSimulations]

    def get(self, request: Request, pk: str) -> Response:
        return shown(find(request, pk))


class ManifestView(APIView):
    permission_classes = [HasSimulations]

    def get(self, request: Request, pk: str) -> Response:
        visible = Simulation.objects.visible_to(request.user)
        related = visible.select_related("owner", "conversation", "rules_version")
        simulation = get_object_or_404(related, pk=pk)
        manifest = build_manifest(simulation, request.user)
        headers = {"Cache-Control": "private, no-cache"}
        if not simulation.is_terminal:
            headers["Retry-After"] = str(simulation.seconds_until_due)
        return Response(manifest, headers=headers)


class CancelView(APIView):
    permission_classes = [HasSimulations]

    def post(self, request: Request, pk: str) -> Response:
        services.cancel(find(request, pk))
        return shown(find(request, pk))


class RetryView(APIView):
    permission_classes = [HasSimulations]

    def post(self, request: Request, pk: str) -> Response:
        key = read_idempotency_key(request)
        simulation = services.retry(request.user, find(request, pk), idempotency_key=key)
        return accepted(request, simulation)


class FollowUpsView(APIView):
    permission_classes = [HasSimulations]

    def post(self, request: Request, pk: str) -> Response:
        simulation, asked = find(request, pk), read_body(QuerySerializer, request)
        key = read_idempotency_key(request)
        following = services.follow_up(request.user, simulation, **asked, idempotency_key=key)
        return accepted(request, following)


class AssistantsView(APIView):
    permission_classes = [HasSimulations]

    def get(self, request: Request) -> Response:
        """Those that a new question may name; all of them, as there are few."""
        Assistant.objects.current()
        return Response(AssistantSerializer(Assistant.objects.active(), many=True).data)


def find(request: Request, pk: str) -> Simulation:
    visible = Simulation.objects.visible_to(request.user).with_queue_position()
    return get_object_or_404(visible.prefetch_related("citations"), pk=pk)


def read_body(kind: type[StrictSerializer], request: Request) -> dict[str, Any]:
    serializer = kind(data=request.data)
    serializer.is_valid(raise_exception=True)
    return serializer.validated_data


def read_idempotency_key(request: Request) -> str:
    key = request.headers.get("Idempotency-Key", "")
    if key and not IDEMPOTENCY_KEY.fullmatch(key):
        message = "Send 1 to 255 letters, digits or punctuation marks."
        raise serializers.ValidationError({"Idempotency-Key": [message]})
    return key


def shown(simulation: Simulation) -> Response:
    headers = {"Cache-Control": "private, no-cache"}
    if not simulation.is_terminal:
        headers["Retry-After"] = str(simulation.seconds_until_due)
    return Response(SimulationSerializer(simulation).data, headers=headers)


def accepted(request: Request, simulation: Simulation) -> Response:
    location = reverse("api:simulation", args=[simulation.pk], request=request)
    headers = {"Location": location, "Retry-After": str(simulation.seconds_until_due)}
    if simulation.is_replay:
        headers["Idempotent-Replayed"] = "true"
    body = SimulationSerializer(find(request, simulation.pk)).data
    return Response(body, status=202, headers=headers)


@api_view(["GET"])
def me(request: Request) -> Response:
    user = request.user
    quota = Quota.of(user)
    return Response(
        {
            "username": user.username,
            "role": user.role,
            "modules": user.modules,
            "quota": {"used": quota.used, "limit": quota.limit, "resets_at": quota.resets_at},
        }
    )
