from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_safe

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
    return render(request, "simulations/detail.html", {"simulation": _visible(request, pk)})


@require_safe
@module_required(Module.SIMULATIONS)
def simulation_status(request: HttpRequest, pk: str) -> HttpResponse:
    """The part of the detail page that changes; it asks for itself again until terminal."""
    return render(request, "simulations/_status.html", {"simulation": _visible(request, pk)})


def _visible(request: HttpRequest, pk: str) -> Simulation:
    visible = Simulation.objects.visible_to(request.user).select_related("owner")
    return get_object_or_404(visible.prefetch_related("citations"), pk=pk)
