from functools import lru_cache

from openai import OpenAI

from simulations.providers.assistants import AssistantsProvider
from simulations.providers.base import Provider, ProviderError
from simulations.providers.client import get_client
from simulations.providers.responses import ResponsesProvider

__all__ = ["Provider", "ProviderError", "continues_runs", "get_provider", "sends_instructions"]

PROTOCOLS = {"responses": ResponsesProvider, "assistants": AssistantsProvider}


def continues_runs(protocol: str) -> bool:
    return PROTOCOLS[protocol].continues_runs


def sends_instructions(protocol: str) -> bool:
    return PROTOCOLS[protocol].sends_instructions


def get_provider(protocol: str) -> Provider:
    return _build_provider(protocol, get_client())


@lru_cache(maxsize=4)
def _build_provider(protocol: str, client: OpenAI) -> Provider:
    """Kept, since wrapping the client's methods costs as much as a call."""
    return PROTOCOLS[protocol](client)
