from functools import cache

from simulations.providers.assistants import AssistantsProvider
from simulations.providers.base import Provider, ProviderError
from simulations.providers.client import build_client
from simulations.providers.responses import ResponsesProvider

__all__ = ["Provider", "ProviderError", "get_provider"]

PROTOCOLS = {"responses": ResponsesProvider, "assistants": AssistantsProvider}


@cache
def get_provider(protocol: str) -> Provider:
    """The process's provider of a protocol; built on first use, after any fork."""
    return PROTOCOLS[protocol](build_client())
