"""What is stored: who answers, the job itself, and what its runs cost and brought."""

from simulations.models.agent import Agent, AgentRun
from simulations.models.assistant import Assistant, AssistantRevision, Effort, Tool
from simulations.models.citation import Citation
from simulations.models.conversation import Conversation
from simulations.models.erasure import Erasure, RemoteDeletion
from simulations.models.feedback import Feedback
from simulations.models.price import Price
from simulations.models.pulse import EnginePulse, Tally
from simulations.models.rules import AnswerRule, AnswerRuleQuerySet, EarlierAnswer, RulesVersion
from simulations.models.run import Run, ToolCall, WebhookHint
from simulations.models.simulation import Simulation, SimulationQuerySet, sees_all
from simulations.models.status import (
    ACTIVE,
    TERMINAL,
    TRANSITIONS,
    ErrorCode,
    Status,
    StopReason,
)

__all__ = [
    "ACTIVE",
    "TERMINAL",
    "TRANSITIONS",
    "Agent",
    "AgentRun",
    "AnswerRule",
    "AnswerRuleQuerySet",
    "Assistant",
    "AssistantRevision",
    "Citation",
    "Conversation",
    "EarlierAnswer",
    "Effort",
    "EnginePulse",
    "Erasure",
    "ErrorCode",
    "Feedback",
    "Price",
    "RemoteDeletion",
    "RulesVersion",
    "Run",
    "Simulation",
    "SimulationQuerySet",
    "Status",
    "StopReason",
    "Tally",
    "Tool",
    "ToolCall",
    "WebhookHint",
    "sees_all",
]
