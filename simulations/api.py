import re
from typing import Any
from uuid import UUID

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import api_view
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param
from rest_framework.views import APIView

from accounts.permissions import HasSimulations
from config.links import link_here, link_to
from config.requests import check_empty, matches_if_none_match, read_parameters
from config.serializers import FlagField, StrictSerializer, TextField
from simulations import openapi, services
from simulations.documents.manifest import build_manifest
from simulations.listing.filters import SimulationFilters, matching
from simulations.listing.paging import Cursor, page_of
from simulations.models import Assistant, Feedback, Simulation
from simulations.quota import Quota
from simulations.reading import Reading, read_simulation, summary_of, summary_rows

IDEMPOTENCY_KEY = re.compile(r"[!-~]{1,255}")


class QuerySerializer(StrictSerializer):
    query = TextField(
        help_text=f"Beyond {Simulation.QUERY_LIMIT:,} characters it is cut off, and "
        "`query_truncated` says so; "
        f"more than {services.QueryTooLong.LIMIT:,} are refused with 413."
    )


class AssistantField(serializers.PrimaryKeyRelatedField):
    """By its id; left out or null: the default one."""

    default_error_messages = {
        "does_not_exist": "No assistant has the id {pk_value}: choose one of "
        "GET /api/v1/assistants.",
        "incorrect_type": "Send the id of an assistant, a number: GET /api/v1/assistants has them.",
    }


class SubmitSerializer(QuerySerializer):
    # Inactive assistants are accepted here and refused by `services`, so that a replay still finds
    # its simulation.
    assistant = AssistantField(queryset=Assistant.objects.all(), required=False, allow_null=True)


class AssistantSerializer(serializers.ModelSerializer):
    class Meta:
        model = Assistant
        fields = ["id", "name", "is_default"]


class FeedbackSerializer(StrictSerializer):
    is_useful = FlagField()
    reason = TextField(required=False, allow_blank=True, max_length=Feedback.REASON_LIMIT)


class SimulationsView(APIView):
    permission_classes = [HasSimulations]

    @openapi.list_simulations
    def get(self, request: Request) -> Response:
        asked = read_parameters(SimulationFilters, request)
        simulations = matching(Simulation.objects.visible_to(request.user), asked)
        page = page_of(summary_rows(simulations), asked.get("cursor"))
        links = {"next": link(request, page.next), "previous": link(request, page.previous)}
        return Response(links | {"results": [summary_of(row) for row in page.rows]})

    @openapi.submit_simulation(SubmitSerializer)
    def post(self, request: Request) -> Response:
        asked = read_body(SubmitSerializer, request)
        key = read_idempotency_key(request)
        return accepted(request, services.submit(request.user, **asked, idempotency_key=key))


class SimulationView(APIView):
    permission_classes = [HasSimulations]

    @openapi.read_simulation
    def get(self, request: Request, pk: UUID) -> Response:
        reading = read_simulation(request.user, pk)
        return shown(reading, status=304 if matches_if_none_match(request, reading.etag) else 200)


class ManifestView(APIView):
    permission_classes = [HasSimulations]

    @openapi.read_manifest
    def get(self, request: Request, pk: UUID) -> Response:
        visible = Simulation.objects.visible_to(request.user)
        related = visible.select_related("owner", "conversation", "rules_version")
        simulation = get_object_or_404(related, pk=pk)
        wait = None if simulation.is_terminal else simulation.seconds_until_due
        return Response(build_manifest(simulation, request.user), headers=retry_after(wait))


class CancelView(APIView):
    permission_classes = [HasSimulations]

    @openapi.cancel_simulation
    def post(self, request: Request, pk: UUID) -> Response:
        check_empty(request)
        services.cancel(find(request, pk))
        return shown(read_simulation(request.user, pk))


class RetryView(APIView):
    permission_classes = [HasSimulations]

    @openapi.retry_simulation
    def post(self, request: Request, pk: UUID) -> Response:
        check_empty(request)
        key = read_idempotency_key(request)
        simulation = services.retry(request.user, find(request, pk), idempotency_key=key)
        return accepted(request, simulation)


class FollowUpsView(APIView):
    permission_classes = [HasSimulations]

    @openapi.follow_up_simulation(QuerySerializer)
    def post(self, request: Request, pk: UUID) -> Response:
        simulation, asked = find(request, pk), read_body(QuerySerializer, request)
        key = read_idempotency_key(request)
        following = services.follow_up(request.user, simulation, **asked, idempotency_key=key)
        return accepted(request, following)


class FeedbackView(APIView):
    permission_classes = [HasSimulations]

    @openapi.give_feedback(FeedbackSerializer)
    def post(self, request: Request, pk: UUID) -> Response:
        simulation, said = find(request, pk), read_body(FeedbackSerializer, request)
        feedback = services.give_feedback(request.user, simulation, **said)
        return Response(FeedbackSerializer(feedback).data | {"given_at": feedback.given_at})


class AssistantsView(APIView):
    permission_classes = [HasSimulations]

    @extend_schema(
        operation_id="list_assistants",
        summary="Whom a question may name",
        description="All that take questions. Without one, the default one answers.",
        responses={200: AssistantSerializer(many=True)},
    )
    def get(self, request: Request) -> Response:
        Assistant.objects.get_or_create_default()
        return Response(AssistantSerializer(Assistant.objects.active(), many=True).data)


def find(request: Request, pk: UUID) -> Simulation:
    return get_object_or_404(Simulation.objects.visible_to(request.user), pk=pk)


def read_body(kind: type[StrictSerializer], request: Request) -> dict[str, Any]:
    serializer = kind(data=request.data)
    serializer.is_valid(raise_exception=True)
    return serializer.validated_data


def read_idempotency_key(request: Request) -> str:
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return ""
    if not IDEMPOTENCY_KEY.fullmatch(key):
        message = "Send 1 to 255 letters, digits or punctuation marks."
        raise serializers.ValidationError({"Idempotency-Key": [message]})
    return key


def link(request: Request, cursor: Cursor | None) -> str | None:
    return replace_query_param(link_here(request), "cursor", str(cursor)) if cursor else None


def retry_after(seconds: int | None) -> dict[str, str]:
    return {} if seconds is None else {"Retry-After": str(seconds)}


def shown(reading: Reading, status: int = 200) -> Response:
    body = None if status == 304 else reading.body
    headers = {"ETag": reading.etag} | retry_after(reading.retry_after)
    return Response(body, status=status, headers=headers)


def accepted(request: Request, simulation: Simulation) -> Response:
    """202 with the simulation as it stands, which for a replay may be over."""
    response = shown(read_simulation(request.user, simulation.pk), status=202)
    response["Location"] = link_to("api:simulation", simulation.pk)
    if simulation.is_replay:
        response["Idempotent-Replayed"] = "true"
    return response


@openapi.read_me
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
