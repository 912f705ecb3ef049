from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.contrib import messages
from django.db.models import F
from django.db.models.functions import Left
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from rest_framework.renderers import JSONRenderer

from accounts.models import Module
from accounts.permissions import module_required, says_when_signed_out
from config.errors import AppError
from config.forms import LinesField
from knowledge.preview import preview
from simulations import services
from simulations.documents.manifest import build_manifest
from simulations.documents.report import as_markdown
from simulations.forms import FeedbackForm, FollowUpForm, NewQuestionForm, SubmitForm
from simulations.fragments import reloads_when_signed_out, unchanged
from simulations.kept_questions import keeps_question_when_signed_out
from simulations.listing.lines import EXCERPT_LENGTH, poll_after
from simulations.models import Feedback, Simulation, Status
from simulations.quota import Quota
from simulations.watching import stage_of, watch

# What a page needs of the other questions of a conversation; their texts can be long.
STATE_FIELDS = ["status", "stop_reason", "due_at", "failed_attempts", "awaits_outputs"]


@require_http_methods(["GET", "HEAD", "POST"])
@keeps_question_when_signed_out
@module_required(Module.SIMULATIONS)
def simulation_new(request: HttpRequest) -> HttpResponse:
    form = NewQuestionForm(request.POST or None)
    ask = partial(services.submit, request.user)
    response = _ask(request, form, ask, "simulations/new.html")
    if request.method != "POST":
        # Browsers restore nothing that was typed into a page which must not be stored.
        response["Cache-Control"] = "private, no-cache"
    return response


@require_http_methods(["GET", "HEAD", "POST"])
@keeps_question_when_signed_out
@module_required(Module.SIMULATIONS)
def simulation_follow_up(request: HttpRequest, pk: str) -> HttpResponse:
    """The form of the detail page on a page of its own: for errors, and without JavaScript."""
    simulation = get_object_or_404(request.user.simulations, pk=pk)
    form = FollowUpForm(request.POST or None)
    ask = partial(services.follow_up, request.user, simulation)
    context = {"simulation": simulation, "conversation": _conversation(simulation)}
    return _ask(request, form, ask, "simulations/follow_up.html", context)


@require_POST
@says_when_signed_out
@module_required(Module.SIMULATIONS)
def simulation_sources(request: HttpRequest) -> HttpResponse:
    """Beside a question that is being written: what it would bring; reading is another module."""
    query = LinesField().to_python(request.POST.get("query"))
    can_read = request.user.has_module(Module.KNOWLEDGE_BASE)
    context = {"preview": preview(query), "can_read_articles": can_read}
    return render(request, "knowledge/_preview.html", context)


def _ask(
    request: HttpRequest,
    form: SubmitForm,
    ask: Callable[..., Simulation],
    template: str,
    context: dict[str, Any] | None = None,
) -> HttpResponse:
    """Shows the form; what was sent leads to the new simulation, or back into the form."""
    status, headers = 200, {}
    if request.method == "POST":
        status = 400
        if form.is_valid():
            try:
                query, key = form.cleaned_data["query"], form.idempotency_key
                simulation = ask(query, idempotency_key=key, **form.choices)
            except AppError as error:
                is_about_text = isinstance(error, services.QueryTooLong)
                form.add_error("query" if is_about_text else None, error.message)
                status, headers = error.status_code, error.headers
            else:
                if simulation.is_replay:
                    messages.info(request, "You asked this before, with the same form: here it is.")
                return redirect("simulations:detail", pk=simulation.pk)
    context = {"form": form, "quota": Quota.of(request.user)} | (context or {})
    response = render(request, template, context, status=status)
    for name, value in headers.items():
        response[name] = value
    return response


@require_POST
@module_required(Module.SIMULATIONS)
def simulation_retry(request: HttpRequest, pk: str) -> HttpResponse:
    simulation = get_object_or_404(request.user.simulations, pk=pk)
    try:
        retried_as = services.retry(request.user, simulation).pk
    except AppError as error:
        # A second click finds the retry of the first one.
        retried_as = (error.details or {}).get("retried_as")
        if not retried_as:
            messages.error(request, error.message)
    return redirect("simulations:detail", pk=retried_as or pk)


@require_POST
@reloads_when_signed_out
@module_required(Module.SIMULATIONS)
def simulation_cancel(request: HttpRequest, pk: str) -> HttpResponse:
    simulation = get_object_or_404(Simulation.objects.visible_to(request.user), pk=pk)
    try:
        services.cancel(simulation)
    except services.InvalidState as error:
        messages.info(request, error.message)
    if request.htmx:
        return _news(request, pk)
    return redirect("simulations:detail", pk=pk)


@require_safe
@module_required(Module.SIMULATIONS)
def simulation_detail(request: HttpRequest, pk: str) -> HttpResponse:
    return _detail(request, pk)


@require_POST
@module_required(Module.SIMULATIONS)
def simulation_feedback(request: HttpRequest, pk: str) -> HttpResponse:
    simulation = get_object_or_404(request.user.simulations, pk=pk)
    form = FeedbackForm(request.POST)
    if not form.is_valid():
        return _detail(request, pk, status=400, feedback_form=form)
    try:
        services.give_feedback(request.user, simulation, **form.cleaned_data)
    except services.InvalidState as error:
        messages.info(request, error.message)
    return redirect(f"{reverse('simulations:detail', args=[pk])}#feedback")


def _detail(request: HttpRequest, pk: str, status: int = 200, **fields: Any) -> HttpResponse:
    context = _context(request, pk) | {"form": FollowUpForm(autofocus=False)} | fields
    return render(request, "simulations/detail.html", context, status=status)


@require_safe
@reloads_when_signed_out
@module_required(Module.SIMULATIONS)
def simulation_status(request: HttpRequest, pk: UUID) -> HttpResponse:
    """What has changed on the page of a simulation since it was `seen`."""
    seen = request.GET.get("seen", "")
    watched = watch(request.user, pk)
    if watched.stage == seen:
        return unchanged(watched.poll_after or 1)
    return _news(request, pk, seen)


def _news(request: HttpRequest, pk: str | UUID, seen: str = "") -> HttpResponse:
    context = _context(request, pk)
    own, _, others = context["stage"].partition(".")
    seen_own, _, seen_others = seen.partition(".")
    moved = {"has_moved": own != seen_own, "conversation_has_moved": others != seen_others}
    return render(request, "simulations/_news.html", context | moved)


@require_safe
@module_required(Module.SIMULATIONS)
def simulation_manifest(request: HttpRequest, pk: str) -> HttpResponse:
    simulation, manifest = _manifest(request, pk)
    context = {
        "simulation": simulation,
        "manifest": manifest,
        "is_owner": simulation.owner == request.user,
        "can_read_articles": request.user.has_module(Module.KNOWLEDGE_BASE),
    }
    return render(request, "simulations/manifest.html", context)


@require_safe
@module_required(Module.SIMULATIONS)
def manifest_download(request: HttpRequest, pk: str) -> HttpResponse:
    """What the API answers, indented, as a file."""
    _, manifest = _manifest(request, pk)
    content = JSONRenderer().render(manifest, "application/json; indent=2")
    disposition = f'attachment; filename="manifest-{pk}.json"'
    headers = {"Content-Disposition": disposition}
    return HttpResponse(content, content_type="application/json", headers=headers)


@require_safe
@module_required(Module.SIMULATIONS)
def answer_download(request: HttpRequest, pk: str) -> HttpResponse:
    """The answer as a Markdown file; 404 where there is none."""
    answered = Simulation.objects.visible_to(request.user).filter(status=Status.COMPLETED)
    simulation = get_object_or_404(answered.select_related("owner"), pk=pk)
    document = as_markdown(simulation, simulation.citations.with_revisions())
    disposition = f'attachment; filename="answer-{pk}.md"'
    headers = {"Content-Disposition": disposition}
    return HttpResponse(document, content_type="text/markdown; charset=utf-8", headers=headers)


def _manifest(request: HttpRequest, pk: str) -> tuple[Simulation, dict[str, Any]]:
    visible = Simulation.objects.visible_to(request.user)
    shown = ["owner", "conversation", "retry_of", "rules_version", "agent_run__agent"]
    simulation = get_object_or_404(visible.select_related(*shown), pk=pk)
    return simulation, build_manifest(simulation, request.user)


def _context(request: HttpRequest, pk: str | UUID) -> dict[str, Any]:
    visible = Simulation.objects.visible_to(request.user).with_queue_position()
    shown = ["owner", "assistant", "retry_of", "retried_as", "feedback", "agent_run__agent"]
    simulation = get_object_or_404(visible.select_related(*shown), pk=pk)
    conversation = _conversation(simulation)
    place = conversation.index(simulation)
    earlier, later = conversation[:place], conversation[place + 1 :]
    is_owner = simulation.owner == request.user
    return {
        "simulation": simulation,
        "citations": simulation.citations.with_revisions(),
        "earlier": earlier,
        "later": later,
        "is_owner": is_owner,
        "feedback_form": _feedback_form(getattr(simulation, "feedback", None)),
        "can_follow_up": is_owner and _may_be_answered(simulation),
        "ask_again_token": uuid4(),
        "stage": stage_of(simulation, conversation),
        "poll_after": poll_after([simulation, *earlier, *later]),
        "run_timeout": settings.RUN_TIMEOUT,
        "can_read_articles": request.user.has_module(Module.KNOWLEDGE_BASE),
    }


def _feedback_form(feedback: Feedback | None) -> FeedbackForm:
    return FeedbackForm(initial={"reason": feedback.reason} if feedback else None)


def _conversation(simulation: Simulation) -> list[Simulation]:
    """All questions of its conversation, oldest first: their states and beginnings."""
    questions = Simulation.objects.filter(conversation=simulation.conversation_id)
    excerpts = questions.annotate(excerpt=Left(F("query"), EXCERPT_LENGTH))
    return list(excerpts.only(*STATE_FIELDS).order_by("created_at", "id"))


def _may_be_answered(simulation: Simulation) -> bool:
    is_lost = simulation.is_stopping or simulation.status in {Status.FAILED, Status.CANCELLED}
    return not is_lost
