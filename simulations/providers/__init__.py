from simulations.providers.assistants import AssistantsProvider
from simulations.providers.base import Provider, ProviderError
from simulations.providers.client import get_client
from simulations.providers.responses import ResponsesProvider

__all__ = ["Provider", "ProviderError", "get_provider"]

PROTOCOLS = {"responses": ResponsesProvider, "assistants": AssistantsProvider}


def get_provider(protocol: str) -> Provider:
    return PROTOCOLS[protocol](get_client())
