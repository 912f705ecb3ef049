"""The agents' pages: what runs when, what came of it, and running one now."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from accounts.models import Role
from accounts.permissions import role_required
from config.errors import AppError
from simulations import services
from simulations.models import Agent, AgentRun

PAGE_SIZE = 25


@require_safe
@role_required(Role.ADMIN)
def agent_list(request: HttpRequest) -> HttpResponse:
    agents = list(Agent.objects.select_related("owner"))
    latest = AgentRun.objects.latest_of(agents)
    rows = [(agent, latest.get(agent.pk)) for agent in agents]
    return render(request, "agents/list.html", {"rows": rows})


@require_safe
@role_required(Role.ADMIN)
def agent_detail(request: HttpRequest, pk: int) -> HttpResponse:
    agent = get_object_or_404(Agent.objects.select_related("owner", "assistant"), pk=pk)
    runs = agent.runs.select_related("simulation", "started_by").defer(
        "simulation__prompt", "simulation__raw_answer", "simulation__answer"
    )
    page = Paginator(runs, PAGE_SIZE).get_page(request.GET.get("page"))
    return render(request, "agents/detail.html", {"agent": agent, "page": page})


@require_POST
@role_required(Role.ADMIN)
def agent_run(request: HttpRequest, pk: int) -> HttpResponse:
    agent = get_object_or_404(Agent, pk=pk)
    try:
        services.run_agent(agent, started_by=request.user)
    except AppError as error:
        messages.error(request, f"It did not run: {error.message}")
    else:
        messages.success(request, "It runs.")
    return redirect("agents:detail", pk=pk)
