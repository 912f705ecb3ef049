"""What the API says of agents, for its description."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers

from config.resource_openapi import PageSerializer, describe_collection, describe_item
from simulations.openapi import ACCEPTED_RESPONSE, ACCEPTING, JUST_ACCEPTED

AGENT = OpenApiExample(
    "Every Monday",
    value={
        "name": "Monday briefing",
        "query": "What should field offices watch this week?",
        "owner": "analyst",
        "schedule": "0 7 * * 1",
        "time_zone": "Europe/Zurich",
    },
    request_only=True,
)


def all_agents(agent: type[serializers.Serializer], parameters: Any) -> Any:
    class AgentPageSerializer(PageSerializer):
        results = agent(many=True)

    return describe_collection("agent", agent, AgentPageSerializer, parameters, AGENT)


def one_agent(agent: type[serializers.Serializer]) -> Any:
    after = "For good. What it asked stays with its owner."
    return describe_item("agent", agent, after=after)


def agent_runs(run: type[serializers.Serializer], parameters: Any) -> Any:
    class AgentRunPageSerializer(PageSerializer):
        results = run(many=True)

    return extend_schema(
        operation_id="list_agent_runs",
        summary="When an agent ran, or why it did not",
        parameters=[parameters],
        responses={200: AgentRunPageSerializer},
    )


run_agent = extend_schema(
    operation_id="run_agent",
    summary="Run an agent now",
    request=None,
    responses={202: ACCEPTED_RESPONSE, 409: None, 422: None},
    parameters=ACCEPTING["parameters"],
    examples=[JUST_ACCEPTED],
)
