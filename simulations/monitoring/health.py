"""Whether the site can do its work: database, broker, engine, beat."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, F, Min
from django.db.models.functions import Now
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe
from kombu.exceptions import ChannelError
from kombu.exceptions import OperationalError as BrokerAway

from config.celery import app
from config.database import DATABASE_AWAY
from simulations.models import EnginePulse, Simulation
from simulations.monitoring.metrics import knows_token

CHECKS = ("database", "broker", "engine", "beat")
# A worker writes its pulse every five seconds, and the longest lease is 30 s.
LONGEST_SILENCE = 30.0
BROKER_TIMEOUT = 2.0

Figures = dict[str, float | None]


@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """200, or 503 with what is wrong. `?exclude=broker&exclude=…` leaves checks out.

    The figures are for whoever knows METRICS_TOKEN.
    """
    figures: Figures = {}
    problems = dict(find_problems(figures))
    for name in request.GET.getlist("exclude"):
        problems.pop(name, None)
    checks = {name: problems.get(name, "ok") for name in CHECKS}
    body: dict[str, Any] = {"status": "failing" if problems else "ok", "checks": checks}
    if knows_token(request):
        body["figures"] = figures
    return JsonResponse(body, status=503 if problems else 200)


def find_problems(figures: Figures) -> Iterator[tuple[str, str]]:
    """Names of checks that fail, and why; fills in what was measured."""
    try:
        figures |= measure_broker()
    except BrokerAway:
        yield "broker", "It can't be reached. Questions are accepted, and wait."
    try:
        figures |= measure_engine()
    except DATABASE_AWAY:
        yield "database", "It can't be reached. Nothing works until it is back."
    else:
        yield from judge(figures)


def judge(figures: Figures) -> Iterator[tuple[str, str]]:
    look, tick = figures["seconds_since_look"], figures["seconds_since_tick"]
    overdue = figures["oldest_due_seconds"] or 0.0
    if look is None or look > LONGEST_SILENCE:
        yield "engine", "No worker looks for work. Is one running, and does it reach the broker?"
    elif overdue > LONGEST_SILENCE:
        yield "engine", "Work is overdue. Start more workers."
    if tick is None or tick > LONGEST_SILENCE:
        waiting = figures.get("waiting_messages")
        yield "beat", "Its ticks wait untaken." if waiting else "Nothing comes from it. Start it."


def measure_engine() -> Figures:
    """Seconds, on the database's clock; None: never, or nothing."""
    flight = Simulation.objects.in_flight().aggregate(
        count=Count("pk"), overdue=Now() - Min("due_at")
    )
    ages = {f"{name}_age": Now() - F(f"{name}_at") for name in ("looked", "claimed", "ticked")}
    pulse = EnginePulse.objects.values(**ages).first() or dict.fromkeys(ages)
    return {
        "seconds_since_look": seconds(pulse["looked_age"]),
        "seconds_since_claim": seconds(pulse["claimed_age"]),
        "seconds_since_tick": seconds(pulse["ticked_age"]),
        "oldest_due_seconds": seconds(flight["overdue"]),
        "in_flight": flight["count"],
    }


def seconds(age: timedelta | None) -> float | None:
    return None if age is None else max(0.0, age.total_seconds())


def measure_broker() -> Figures:
    """Messages that nobody has taken yet. The embedded worker's broker is in its own process."""
    if settings.EMBEDDED_BROKER:
        return {}
    limits = {"socket_connect_timeout": BROKER_TIMEOUT, "socket_timeout": BROKER_TIMEOUT}
    with app.connection_for_write(transport_options=limits) as connection:
        connection.ensure_connection(max_retries=1, timeout=BROKER_TIMEOUT)
        try:
            queue = connection.default_channel.queue_declare(
                app.conf.task_default_queue, passive=True
            )
        except ChannelError:  # there is no queue while it is empty
            return {"waiting_messages": 0}
        return {"waiting_messages": queue.message_count}
