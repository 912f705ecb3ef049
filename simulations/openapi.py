"""What the API says of simulations, for its description: shapes, examples, failures."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework import serializers

from accounts.models import Module, Role
from config.openapi import IDEMPOTENCY_KEY, REPLAYED, header, retry_after
from simulations.documents.manifest import VERSION
from simulations.listing.filters import SimulationFilters
from simulations.models import Citation, ErrorCode, Feedback, Simulation
from simulations.reading import CITATION, SUMMARY


class CitationSerializer(serializers.ModelSerializer):
    keywords = serializers.ListField(child=serializers.CharField())

    class Meta:
        model = Citation
        fields = CITATION


class AskingAgentSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    name = serializers.CharField()


class GivenFeedbackSerializer(serializers.ModelSerializer):
    class Meta:
        model = Feedback
        fields = ("is_useful", "reason", "given_at")


class SimulationSummarySerializer(serializers.ModelSerializer):
    owner = serializers.CharField(help_text="The username of whose question and quota it is.")
    agent = AskingAgentSerializer(allow_null=True, help_text="What asked it; null: its owner did.")
    feedback = GivenFeedbackSerializer(
        allow_null=True, help_text="What its owner says of the answer."
    )

    class Meta:
        model = Simulation
        fields = SUMMARY
        extra_kwargs = {
            "query_truncated": {
                "help_text": "Whether what followed the first "
                f"{Simulation.QUERY_LIMIT:,} characters of the query was cut off."
            }
        }


class FailureSerializer(serializers.Serializer):
    code = serializers.ChoiceField(ErrorCode.choices, help_text="For programs.")
    message = serializers.CharField(help_text="For people.")
    status = serializers.IntegerField(
        allow_null=True, help_text="The HTTP status it would have had as an answer."
    )


class SimulationSerializer(SimulationSummarySerializer):
    queue_position = serializers.IntegerField(
        allow_null=True, min_value=1, help_text="While it waits for its turn; 1 is next."
    )
    is_stopping = serializers.BooleanField(help_text="Whether its run is just being ended.")
    answer = serializers.CharField(help_text="Markdown; empty until it is COMPLETED.")
    is_uncleaned = serializers.BooleanField(
        help_text="Whether the answer rules failed on it: it is as the assistant wrote it, without "
        "control characters. An administrator can clean it again."
    )
    citations = CitationSerializer(many=True)
    error = FailureSerializer(allow_null=True, help_text="Of one that is FAILED.")

    class Meta(SimulationSummarySerializer.Meta):
        fields = (
            *SUMMARY,
            "queue_position",
            "is_stopping",
            "answer",
            "is_uncleaned",
            "citations",
            "error",
        )


class SimulationPageSerializer(serializers.Serializer):
    next = serializers.URLField(allow_null=True, help_text="The page of what is older.")
    previous = serializers.URLField(allow_null=True, help_text="The page of what is newer.")
    results = SimulationSummarySerializer(many=True)


class QuotaSerializer(serializers.Serializer):
    used = serializers.IntegerField(min_value=0)
    limit = serializers.IntegerField(min_value=0)
    resets_at = serializers.DateTimeField(help_text="The first of the next month, UTC.")


class MeSerializer(serializers.Serializer):
    username = serializers.CharField()
    role = serializers.ChoiceField(Role.choices)
    modules = serializers.ListField(child=serializers.ChoiceField(Module.choices))
    quota = QuotaSerializer()


PART = {"type": "object", "additionalProperties": {}}
PARTS = {"type": "array", "items": PART}
MAYBE_PART = {"type": ["object", "null"], "additionalProperties": {}}
MANIFEST_PARTS: dict[str, Any] = {
    "version": {"type": "integer", "const": VERSION},
    "generated_at": {"type": "string", "format": "date-time"},
    "is_final": {"type": "boolean", "description": "Whether it will not change any more."},
    "omitted": PARTS | {"description": "What the reader may not have, and why."},
    "simulation": PART,
    "times": PART,
    "prompt": {"type": ["string", "null"], "description": "As it was sent; may be omitted."},
    "user_level": {"type": ["string", "null"]},
    "articles": PARTS,
    "assistants": PARTS,
    "answer": MAYBE_PART | {"description": "Raw and clean, and what was taken out by which rule."},
    "tokens": PART,
    "runs": PARTS,
}
MANIFEST = {
    "type": "object",
    "properties": MANIFEST_PARTS,
    "required": sorted(MANIFEST_PARTS.keys() - {"prompt"}),
    "additionalProperties": {},
}

ACCEPTED: dict[str, Any] = {
    "id": "8e03978e-40d5-43dd-bc93-6894a57f9324",
    "status": "PENDING",
    "query": "How do we improve access control at the field office?",
    "query_truncated": False,
    "assistant": 1,
    "conversation": "5c4f2f0c-6a2e-4f0e-9d0b-1d8f2d2b7d53",
    "retry_of": None,
    "tokens_used": None,
    "created_at": "2026-11-02T09:30:00.123456Z",
    "started_at": None,
    "finished_at": None,
    "owner": "analyst",
    "agent": None,
    "feedback": None,
    "queue_position": 1,
    "is_stopping": False,
    "answer": "",
    "is_uncleaned": False,
    "citations": [],
    "error": None,
}
COMPLETED = ACCEPTED | {
    "status": "COMPLETED",
    "tokens_used": 1840,
    "started_at": "2026-11-02T09:30:01.020000Z",
    "finished_at": "2026-11-02T09:30:24.700000Z",
    "queue_position": None,
    "answer": "Give every visitor a photo badge that expires the same day. …",
    "citations": [
        {
            "position": 1,
            "slug": "field-security-handbook-001",
            "title": "Field security handbook",
            "category": "Field security",
            "found_by": "keyword",
            "keywords": ["access control"],
            "truncated": False,
        }
    ],
}
QUESTION = OpenApiExample(
    "A question",
    value={"query": "How do we improve access control at the field office?"},
    request_only=True,
)
JUST_ACCEPTED = OpenApiExample("Just accepted", ACCEPTED, response_only=True, status_codes=["202"])

ETAG = header("ETag", "Of what is shown; weak.", 200, 202, 304)
IF_NONE_MATCH = header("If-None-Match", "An `ETag` you have: 304 while nothing has changed.")
LOCATION = header("Location", "Where to ask how it stands.", 202, schema={"type": "string"})
ACCEPTING = {
    "parameters": [IDEMPOTENCY_KEY, LOCATION, retry_after(202), ETAG, REPLAYED],
    "examples": [QUESTION, JUST_ACCEPTED],
}
ACCEPTED_RESPONSE = OpenApiResponse(SimulationSerializer, "Accepted: ask again at `Location`.")
UNCHANGED = OpenApiResponse(None, "Nothing has changed since the `ETag` of If-None-Match.")

list_simulations = extend_schema(
    operation_id="list_simulations",
    summary="Simulations, newest first",
    parameters=[SimulationFilters],
    responses={200: SimulationPageSerializer, 404: None},
)


def submit_simulation(serializer: type[serializers.Serializer]) -> Any:
    return extend_schema(
        operation_id="submit_simulation",
        summary="Ask a question",
        request=serializer,
        responses={202: ACCEPTED_RESPONSE, 422: None},
        **ACCEPTING,
    )


def follow_up_simulation(serializer: type[serializers.Serializer]) -> Any:
    return extend_schema(
        operation_id="follow_up_simulation",
        summary="Ask a follow-up in the same conversation",
        request=serializer,
        responses={202: ACCEPTED_RESPONSE, 409: None, 422: None},
        **ACCEPTING,
    )


retry_simulation = extend_schema(
    operation_id="retry_simulation",
    summary="Ask a failed question anew",
    request=None,
    responses={202: ACCEPTED_RESPONSE, 409: None, 422: None},
    parameters=ACCEPTING["parameters"],
    examples=[JUST_ACCEPTED],
)
read_simulation = extend_schema(
    operation_id="read_simulation",
    summary="How a simulation stands",
    parameters=[IF_NONE_MATCH, ETAG, retry_after(200, 304)],
    responses={200: SimulationSerializer, 304: UNCHANGED},
    examples=[OpenApiExample("Answered", COMPLETED, response_only=True, status_codes=["200"])],
)
cancel_simulation = extend_schema(
    operation_id="cancel_simulation",
    summary="Stop a simulation",
    request=None,
    parameters=[ETAG, retry_after(200)],
    responses={200: SimulationSerializer, 409: None},
)
read_manifest = extend_schema(
    operation_id="read_manifest",
    summary="What went into a simulation and what came of it",
    parameters=[retry_after(200)],
    responses={200: MANIFEST},
)
read_me = extend_schema(
    operation_id="read_me", summary="Who you are and what you may do", responses={200: MeSerializer}
)


def give_feedback(request: type[serializers.Serializer]) -> Any:
    return extend_schema(
        operation_id="give_feedback",
        summary="Say whether an answer was useful",
        request=request,
        responses={200: GivenFeedbackSerializer, 409: None},
        examples=[
            OpenApiExample(
                "Not quite",
                value={"is_useful": False, "reason": "It names no checkpoint."},
                request_only=True,
            )
        ],
    )
