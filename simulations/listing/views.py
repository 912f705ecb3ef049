from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.models import Module
from accounts.permissions import module_required
from simulations.forms import FilterForm
from simulations.fragments import reloads_when_signed_out, unchanged
from simulations.listing.lines import (
    as_lines,
    filtered,
    poll_after,
    read_page,
    read_seen,
    usernames,
)
from simulations.models import Simulation, sees_all
from simulations.quota import Quota

# Whom the owner filter proposes; any other username can be typed.
MAX_OWNERS = 100


@require_safe
@module_required(Module.SIMULATIONS)
def simulation_list(request: HttpRequest) -> HttpResponse:
    is_for_all = sees_all(request.user)
    form = FilterForm(request.GET, sees_all=is_for_all)
    simulations = filtered(Simulation.objects.visible_to(request.user), form)
    page = read_page(simulations, request.GET.get("cursor", ""))
    context = {
        "page": page,
        "form": form,
        "sees_all": is_for_all,
        "owners": usernames()[:MAX_OWNERS] if is_for_all else (),
        "poll_after": poll_after(page.lines),
        "quota": Quota.of(request.user),
    }
    return render(request, "simulations/list.html", context)


@require_safe
@reloads_when_signed_out
@module_required(Module.SIMULATIONS)
def simulation_rows(request: HttpRequest) -> HttpResponse:
    """The active rows of a list, all in one request: those that have changed since."""
    seen = read_seen(request.GET.getlist("row"))
    visible = Simulation.objects.visible_to(request.user).filter(pk__in=seen)
    lines = list(as_lines(visible))
    changed = [line for line in lines if line.stage != seen[line.pk]]
    wait = poll_after(lines)
    if wait and not changed:
        return unchanged(wait)
    context = {
        "lines": changed,
        "sees_all": sees_all(request.user),
        "poll_after": wait,
    }
    return render(request, "simulations/_rows.html", context)
