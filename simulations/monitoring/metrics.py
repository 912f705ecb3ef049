"""Prometheus metrics, all read from the database.

Web processes can't see what workers count in memory, so workers write it there as tallies.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from itertools import product
from typing import Any

from django.conf import settings
from django.db.models import Case, Count, Min, QuerySet, Value, When
from django.db.models.functions import Left, Now
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from rest_framework.decorators import (
    api_view,
    authentication_classes,
    content_negotiation_class,
    permission_classes,
    throttle_classes,
)
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from config.errors import NotFound, Unauthorized
from simulations.models import EnginePulse, Run, Simulation, Status, Tally, ToolCall
from simulations.turns.tools import SEARCH_KNOWLEDGE

# For whatever is not in a label's closed list.
OTHER = "other"
# The step that asks for a run; its class would bring the provider's SDK into the web processes.
POLL = "FetchRun"
# Of a run that has no outcome yet.
OPEN = "open"

# What our side of a call to the provider, or its HTTP status, is named.
PROVIDER_FAULTS = [
    "timeout",
    "connection_error",
    "invalid_response",
    "server_error",
    "http_408",
    "http_500",
    "http_502",
    "http_503",
    "http_504",
]
# Why the provider failed runs.
REASONS = [
    "server_error",
    "rate_limit_exceeded",
    "insufficient_quota",
    "invalid_prompt",
    "content_filter",
    "max_output_tokens",
    "max_completion_tokens",
    Run.Fault.FORGOTTEN.value,
]
FAULTS = [*Run.Fault.values, *PROVIDER_FAULTS]

ERROR = '{"error":'
# By its beginning: outputs are long, and the database keeps them out of the row.
ANSWER = Case(
    When(output="", then=Value("none")),
    When(start=ERROR, then=Value("error")),
    default=Value("ok"),
)


class AnyFormat(BaseContentNegotiation):
    """Prometheus asks for formats that the API doesn't have."""

    def select_renderer(
        self, request: Request, renderers: list[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        return renderers[0], renderers[0].media_type


@api_view(["GET"])
@authentication_classes([])
@permission_classes([])
@throttle_classes([])
@content_negotiation_class(AnyFormat)
def metrics(request: Request) -> HttpResponse:
    if not settings.METRICS_TOKEN:
        raise NotFound
    if not knows_token(request):
        raise Unauthorized("Send METRICS_TOKEN as a bearer token")
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return HttpResponse(encode(registry), content_type=content_type)


def knows_token(request: Request | HttpRequest) -> bool:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    is_named = bool(settings.METRICS_TOKEN) and scheme.lower() == "bearer"
    return is_named and constant_time_compare(token, settings.METRICS_TOKEN)


class DatabaseCollector(Collector):
    """Ten queries per scrape."""

    def collect(self) -> Iterator[Metric]:
        yield count_simulations()
        yield from measure_flight()
        yield from measure_queue()
        yield from count_runs()
        yield count_tool_calls()
        yield from read_pulse()
        yield from read_tallies()


registry = CollectorRegistry()
registry.register(DatabaseCollector())


def count_simulations() -> GaugeMetricFamily:
    counts = count_by(Simulation.objects.all(), "status")
    return gauges("simulations", "Simulations.", {"status": Status.values}, counts)


def measure_flight() -> Iterator[GaugeMetricFamily]:
    overdue = Now() - Min("due_at")
    flight = Simulation.objects.in_flight().aggregate(count=Count("pk"), overdue=overdue)
    yield gauge("simulations_in_flight", "Simulations admitted and not over.", flight["count"])
    lag = seconds(flight["overdue"])
    yield gauge("engine_lag_seconds", "How long the oldest due step is overdue.", lag)


def measure_queue() -> Iterator[GaugeMetricFamily]:
    age = Now() - Min("created_at")
    queue = Simulation.objects.queued().aggregate(count=Count("pk"), age=age)
    yield gauge("simulations_queued", "Simulations waiting to be admitted.", queue["count"])
    yield gauge("queue_age_seconds", "Age of the oldest of them.", seconds(queue["age"]))


def count_runs() -> Iterator[GaugeMetricFamily]:
    stored = count_by(Run.objects.all(), "outcome", "adopted")
    counts = {(outcome or OPEN, str(adopted)): n for (outcome, adopted), n in stored.items()}
    labels = {"outcome": [OPEN, *Run.Outcome.values], "adopted": ["False", "True"]}
    yield gauges("runs", "Runs; adopted ones were found upstream.", labels, counts)

    extra = count_by(Run.objects.extra(), "fault")
    labels = {"fault": [*FAULTS, OTHER]}
    yield gauges("extra_runs", "Runs that may have been billed in addition.", labels, extra)

    failed = count_by(Run.objects.filter(outcome=Run.Outcome.FAILED), "fault")
    labels = {"reason": [*REASONS, OTHER]}
    yield gauges("failed_runs", "Runs that the provider failed, by its reason.", labels, failed)

    unwanted = Run.objects.to_discard().count()
    yield gauge("runs_to_discard", "Unwanted runs still to be ended upstream.", unwanted)


def count_tool_calls() -> GaugeMetricFamily:
    calls = ToolCall.objects.annotate(start=Left("output", len(ERROR)), answer=ANSWER)
    labels = {"tool": [SEARCH_KNOWLEDGE["name"], OTHER], "answer": ["none", "ok", "error"]}
    return gauges("tool_calls", "Tool calls.", labels, count_by(calls, "name", "answer"))


def read_pulse() -> Iterator[GaugeMetricFamily]:
    """Before the first sign of life there is no sample, which `absent` in an alert notices."""
    pulse = EnginePulse.objects.annotate(now=Now()).first()
    for name, what in {
        "looked": "a worker looked for due rows",
        "claimed": "a worker took some",
        "ticked": "a worker took a tick of beat's",
    }.items():
        moment = getattr(pulse, f"{name}_at", None)
        family = GaugeMetricFamily(f"sitrep_engine_{name}_seconds_ago", f"Since {what}.")
        if moment:
            family.add_metric([], seconds(pulse.now - moment))
        yield family


def read_tallies() -> Iterator[CounterMetricFamily]:
    """Written by the workers every few seconds."""
    totals: dict[str, dict[str, int]] = {kind: {} for kind in Tally.Kind.values}
    for tally in Tally.objects.all():
        totals[tally.kind][tally.label] = tally.total
    labels = {
        Tally.Kind.STEPS: "step",
        Tally.Kind.PROVIDER_ERRORS: "code",
        Tally.Kind.TOKENS: "direction",
    }
    for kind, label in labels.items():
        family = CounterMetricFamily(f"sitrep_{kind}", f"{kind.label}.", labels=[label])
        for value, total in sorted(totals[kind].items()):
            family.add_metric([value], total)
        yield family
    polls = totals[Tally.Kind.STEPS].get(POLL, 0)
    yield CounterMetricFamily("sitrep_polls", "Runs asked for.", value=polls)


def count_by(rows: QuerySet[Any], *fields: str) -> dict[tuple[Any, ...], int]:
    grouped = rows.order_by().values_list(*fields).annotate(Count("pk"))
    return {tuple(values): count for *values, count in grouped}


def gauge(name: str, documentation: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"sitrep_{name}", documentation, value=value)


def gauges(
    name: str,
    documentation: str,
    labels: Mapping[str, Iterable[str]],
    counts: Mapping[tuple[str, ...], int],
) -> GaugeMetricFamily:
    """One sample for each combination of the labels' values, which are closed lists.

    Providers make up error codes of their own, and models make up tools.
    """
    totals: Counter[tuple[str, ...]] = Counter()
    for values, count in counts.items():
        known = zip(values, labels.values(), strict=True)
        totals[tuple(value if value in allowed else OTHER for value, allowed in known)] += count
    family = GaugeMetricFamily(f"sitrep_{name}", documentation, labels=list(labels))
    for values in product(*labels.values()):
        family.add_metric(values, totals[values])
    return family


def seconds(age: timedelta | None) -> float:
    """0 for None (nothing there has an age) and for times in the future."""
    return max(0.0, age.total_seconds()) if age else 0.0
