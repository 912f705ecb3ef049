"""What is stored: who answers, the job itself, and what its runs cost and brought."""

from simulations.models.assistant import Assistant, AssistantRevision
from simulations.models.citation import Citation
from simulations.models.run import Run, ToolCall, WebhookHint
from simulations.models.simulation import (
    ACTIVE,
    CONVERSATION_GONE,
    TRANSITIONS,
    Conversation,
    Simulation,
    SimulationQuerySet,
    Status,
    StopReason,
)

__all__ = [
    "ACTIVE",
    "CONVERSATION_GONE",
    "TRANSITIONS",
    "Assistant",
    "AssistantRevision",
    "Citation",
    "Conversation",
    "Run",
    "Simulation",
    "SimulationQuerySet",
    "Status",
    "StopReason",
    "ToolCall",
    "WebhookHint",
]
