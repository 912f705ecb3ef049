"""The use cases that touch several nouns."""

from django.conf import settings
from django.db import transaction

from accounts.models import User
from config.errors import AppError
from simulations.models import Assistant, Conversation, Simulation
from simulations.quota import Quota


class OpenAINotConfigured(AppError):
    status_code = 503
    message = (
        "OpenAI not configured: an administrator must set OPENAI_API_KEY "
        "(and OPENAI_ASSISTANT_ID for the assistants protocol)"
    )


class QueryTooLong(AppError):
    status_code = 413
    message = "The query is longer than 100,000 characters. Shorten it to 12,000 or fewer."

    LIMIT = 100_000


def submit(owner: User, query: str) -> Simulation:
    """Accepts a query: a PENDING row that the engine takes from there.

    What is longer than 12,000 characters is cut, and the row says so. Raises OpenAINotConfigured,
    QueryTooLong or MonthlyLimitReached, and then creates nothing.
    """
    if not settings.OPENAI_CONFIGURED:
        raise OpenAINotConfigured
    if len(query) > QueryTooLong.LIMIT:
        raise QueryTooLong
    assistant = Assistant.objects.current()
    with transaction.atomic():
        # The lock makes count and insert one: concurrent submissions of a user take turns.
        # SQLite has no row locks; there the transaction is IMMEDIATE.
        locked = User.objects.select_for_update(no_key=True).get(pk=owner.pk)
        Quota.of(locked).check()
        conversation = Conversation.objects.create(owner=owner, protocol=settings.OPENAI_PROTOCOL)
        return Simulation.objects.create(
            owner=owner,
            assistant=assistant,
            conversation=conversation,
            query=query[: Simulation.QUERY_LIMIT],
            query_truncated=len(query) > Simulation.QUERY_LIMIT,
        )
