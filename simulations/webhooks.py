"""OpenAI's webhooks: each tells that a run is over, so that its row need not wait for a poll."""

import json
import re
from collections.abc import Callable
from functools import cache

from django.conf import settings
from django.db.models import F
from django.db.models.functions import Now
from rest_framework.decorators import (
    api_view,
    authentication_classes,
    metadata_class,
    permission_classes,
    throttle_classes,
)
from rest_framework.request import Request
from rest_framework.response import Response

from config.errors import AppError, NotFound, PayloadTooLarge
from simulations.models import Run, Simulation, Status, WebhookHint
from simulations.prepared import PreparedUpdate, Update

LARGEST_EVENT = 64 * 1024
EVENTS = {f"response.{end}" for end in ("completed", "failed", "incomplete", "cancelled")}
RUN_ID = re.compile(r"[!-~]{1,512}")


class InvalidSignature(AppError):
    status_code = 400
    message = (
        "The webhook's signature is missing, wrong or not of these five minutes. Compare "
        "OPENAI_WEBHOOK_SECRET with the webhook's page at OpenAI, and check this machine's clock."
    )


# The signature is the authentication: there is no session, no sign-in and no CSRF token.
@api_view(["POST"])
@authentication_classes([])
@permission_classes([])
@throttle_classes([])
@metadata_class(None)
def openai_webhook(request: Request) -> Response:
    if not settings.OPENAI_WEBHOOK_SECRET:
        raise NotFound
    if len(request.body) > LARGEST_EVENT:
        raise PayloadTooLarge("The event is larger than 64 kB.")
    check_signature(request)
    if run_id := ended_run(request.body):
        heed(run_id)
    return Response(status=204)


def check_signature(request: Request) -> None:
    try:
        _verifier()(request.body, request.headers, secret=settings.OPENAI_WEBHOOK_SECRET)
    except (ValueError, TypeError) as error:  # TypeError: a signature outside ASCII
        raise InvalidSignature from error


@cache
def _verifier() -> Callable[..., None]:
    """Made with the first webhook: the SDK costs a process half a second and 25 MB."""
    from openai import OpenAI

    return OpenAI(api_key="none is needed to verify").webhooks.verify_signature


def ended_run(payload: bytes) -> str:
    """The id of the run that the event says is over; empty for any other event."""
    try:
        event = json.loads(payload)
    except ValueError:
        return ""
    match event:
        case {"type": str(kind), "data": {"id": str(run_id)}} if kind in EVENTS:
            return run_id if RUN_ID.fullmatch(run_id) else ""
    return ""


def heed(run_id: str) -> None:
    """Makes the run's row due. A run that isn't known yet is remembered, then tried once more.

    The engine saves a run's id first and then looks for a hint. In this order, whichever of the
    two comes second sees what the other wrote.
    """
    if not make_due(run_id):
        remember(run_id)
        make_due(run_id)


@PreparedUpdate
def make_due(run_id: str) -> Update:
    """The raised step number keeps a poll under way from putting off the next one.

    The row itself is tested, not a join: an UPDATE that had to wait for another one tests only
    its own row anew, and the run may have ended meanwhile.
    """
    runs = Run.objects.filter(provider_id=run_id)
    row = Simulation.objects.filter(run__in=runs, status=Status.RUNNING)
    return Update(row, {"due_at": Now(), "step_number": F("step_number") + 1})


def remember(run_id: str) -> None:
    WebhookHint.objects.filter(received_at__lt=Now() - WebhookHint.VALIDITY).delete()
    WebhookHint.objects.bulk_create([WebhookHint(run_id=run_id)], ignore_conflicts=True)
