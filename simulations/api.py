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
from simulations.models import Citation, Simulation
from simulations.quota import Quota


class SubmitSerializer(StrictSerializer):
    query = TextField()


class CitationSerializer(serializers.ModelSerializer):
    class Meta:
        model = Citation
        fields = ["position", "slug", "title", "category", "keywords", "truncated"]


class SimulationSummarySerializer(serializers.ModelSerializer):
    class Meta:
        model = Simulation
        fields = [
            "id",
            "status",
            "query",
            "query_truncated",
            "tokens_used",
            "created_at",
            "started_at",
            "finished_at",
        ]


class SimulationSerializer(SimulationSummarySerializer):
    citations = CitationSerializer(many=True)
    error = serializers.SerializerMethodField()

    class Meta(SimulationSummarySerializer.Meta):
        fields = [*SimulationSummarySerializer.Meta.fields, "answer", "citations", "error"]

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
        serializer = SubmitSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        simulation = services.submit(request.user, serializer.validated_data["query"])
        location = reverse("api:simulation", args=[simulation.pk], request=request)
        headers = {"Location": location, "Retry-After": str(simulation.seconds_until_due)}
        return Response(SimulationSerializer(simulation).data, status=202, headers=headers)


class SimulationView(APIView):
    permission_classes = [HasSimulations]

    def get(self, request: Request, pk: str) -> Response:
        visible = Simulation.objects.visible_to(request.user).prefetch_related("citations")
        simulation = get_object_or_404(visible, pk=pk)
        headers = {"Cache-Control": "private, no-cache"}
        if not simulation.is_terminal:
            headers["Retry-After"] = str(simulation.seconds_until_due)
        return Response(SimulationSerializer(simulation).data, headers=headers)


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
