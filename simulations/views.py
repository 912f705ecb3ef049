from typing import Any

from django.conf import settings
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_safe
from django_htmx.http import HttpResponseClientRefresh

from accounts.models import Module
from accounts.permissions import module_required
from config.errors import AppError
from simulations import services
from simulations.forms import SubmitForm
from simulations.models import Simulation
from simulations.quota import Quota

PAGE_SIZE = 25


@require_safe
@module_required(Module.SIMULATIONS)
def simulation_list(request: HttpRequest) -> HttpResponse:
    simulations = request.user.simulations.prefetch_related("citations")
    page = Paginator(simulations, PAGE_SIZE).get_page(request.GET.get("page"))
    context = {"page": page, "quota": Quota.of(request.user)}
    return render(request, "simulations/list.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@module_required(Module.SIMULATIONS)
def simulation_new(request: HttpRequest) -> HttpResponse:
    form = SubmitForm(request.POST or None)
    status = 200
    if request.method == "POST":
        if form.is_valid():
            try:
                simulation = services.submit(request.user, form.cleaned_data["query"])
            except AppError as error:
                form.add_error(None, error.message)
                status = error.status_code
            else:
                return redirect("simulations:detail", pk=simulation.pk)
        else:
            status = 400
    context = {"form": form, "quota": Quota.of(request.user)}
    return render(request, "simulations/new.html", context, status=status)


@require_safe
@module_required(Module.SIMULATIONS)
def simulation_detail(request: HttpRequest, pk: str) -> HttpResponse:
    return render(request, "simulations/detail.html", _context(request, pk))


@require_safe
def simulation_status(request: HttpRequest, pk: str) -> HttpResponse:
    """The part of the detail page that changes; it asks for itself again until terminal."""
    if request.htmx and not request.user.is_authenticated:
        # The page's own reload leads to the sign-in page; a fragment's redirect would show it
        # inside the page.
        return HttpResponseClientRefresh()
    return _status_fragment(request, pk)


@module_required(Module.SIMULATIONS)
def _status_fragment(request: HttpRequest, pk: str) -> HttpResponse:
    context = _context(request, pk)
    if request.GET.get("seen") == context["stage"]:
        retry_after = str(context["simulation"].seconds_until_due)
        return HttpResponse(status=204, headers={"Retry-After": retry_after})
    return render(request, "simulations/_status.html", context)


def _context(request: HttpRequest, pk: str) -> dict[str, Any]:
    visible = Simulation.objects.visible_to(request.user).select_related("owner")
    simulation = get_object_or_404(visible.prefetch_related("citations"), pk=pk)
    return {
        "simulation": simulation,
        "stage": _stage(simulation),
        "run_timeout": settings.RUN_TIMEOUT,
        "can_read_articles": request.user.has_module(Module.KNOWLEDGE_BASE),
    }


def _stage(simulation: Simulation) -> str:
    """Changes with whatever the page shows, but for the passing time."""
    seen = [
        simulation.status,
        "grounded" if simulation.prompt else "",
        "opened" if simulation.opened_at else "",
        str(simulation.failed_attempts),
        simulation.stop_reason,
    ]
    return "-".join(seen)
