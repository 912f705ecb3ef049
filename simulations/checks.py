from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Warning, register  # noqa: A004


@register()
def check_assistant_id(**kwargs: Any) -> list[CheckMessage]:
    if not settings.OPENAI_ASSISTANT_ID or settings.OPENAI_PROTOCOL == "assistants":
        return []
    return [
        Warning(
            "OPENAI_ASSISTANT_ID is set, but OPENAI_PROTOCOL=responses ignores it.",
            hint="Unset it, or set OPENAI_PROTOCOL=assistants for a server that speaks it.",
            id="simulations.W001",
        )
    ]
