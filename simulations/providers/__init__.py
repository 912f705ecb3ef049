from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from django.utils.module_loading import import_string

from simulations.providers.base import Provider, ProviderError

if TYPE_CHECKING:
    from openai import OpenAI

__all__ = ["Provider", "ProviderError", "continues_runs", "get_provider", "sends_instructions"]


@dataclass(frozen=True)
class WireProtocol:
    """What is to be known of a protocol without a call.

    Its adapter is imported with the first call: the SDK costs a process half a second and 30 MB,
    and most web processes never call.
    """

    adapter: str
    continues_runs: bool
    """Whether tool outputs go into the run that asked for them, or start one of their own."""
    sends_instructions: bool
    """Whether a run names its model and instructions, or a remote assistant that has its own."""


PROTOCOLS = {
    "responses": WireProtocol(
        "simulations.providers.responses.ResponsesProvider",
        continues_runs=False,
        sends_instructions=True,
    ),
    "assistants": WireProtocol(
        "simulations.providers.assistants.AssistantsProvider",
        continues_runs=True,
        sends_instructions=False,
    ),
}


def continues_runs(protocol: str) -> bool:
    return PROTOCOLS[protocol].continues_runs


def sends_instructions(protocol: str) -> bool:
    return PROTOCOLS[protocol].sends_instructions


def get_provider(protocol: str) -> Provider:
    from simulations.providers.client import get_client

    return _build_provider(protocol, get_client())


@lru_cache(maxsize=4)
def _build_provider(protocol: str, client: "OpenAI") -> Provider:
    """Kept, since wrapping the client's methods costs as much as a call."""
    return import_string(PROTOCOLS[protocol].adapter)(client)
