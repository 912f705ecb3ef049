"""Answer rules in the admin: their list, their preview, and cleaning answers again."""

from itertools import islice
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_http_methods

from config.admin import ReadOnly
from knowledge.revision_admin import RevisionAdmin
from simulations.answer_rules.current import current_rules
from simulations.answer_rules.forms import RulePreviewForm, RuleRowForm, at_first, with_unsaved
from simulations.answer_rules.preview import preview_latest, preview_text
from simulations.answer_rules.recleaning import apply_changes, find_changes
from simulations.models import AnswerRule, RulesVersion, SimulationQuerySet

# More are for the command: a page has to be read, and a request to end.
MOST_AT_ONCE = 500
CHANGES_SHOWN = 20


@admin.register(AnswerRule)
class AnswerRuleAdmin(RevisionAdmin):
    list_display = ["phrase", "kind", "inside_text", "is_active", "position"]
    list_editable = ["is_active", "position"]
    list_filter = ["kind", "is_active"]
    search_fields = ["phrase"]
    fields = ["phrase", "kind", "inside_text", "is_active", "position"]
    restored_fields = fields

    def get_changelist_form(self, request: HttpRequest, **kwargs: Any) -> type[forms.ModelForm]:
        return super().get_changelist_form(request, **{"form": RuleRowForm} | kwargs)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.preview_view)
        return [path("preview/", view, name="simulations_answerrule_preview"), *super().get_urls()]

    @method_decorator(require_http_methods(["GET", "HEAD", "POST"]))
    def preview_view(self, request: HttpRequest) -> HttpResponse:
        """Posted by its own form, or by a rule's with what is not saved there."""
        data: Any = request.POST if request.method == "POST" else at_first()
        if "replaces" in data:
            data = with_unsaved(data)
        form = RulePreviewForm(data)
        context: dict[str, Any] = {"form": form}
        if form.is_valid():
            phrases, text = form.phrases(), form.cleaned_data["text"]
            context["preview"] = preview_text(text, phrases) if text.strip() else None
            context["latest"] = preview_latest(phrases)
        if request.htmx:
            return TemplateResponse(request, "admin/answer_rules/_preview.html", context)
        context |= {
            **self.admin_site.each_context(request),
            "title": "What the answer rules take out",
            "opts": self.opts,
        }
        status = 200 if form.is_valid() else 400
        return TemplateResponse(request, "admin/answer_rules/preview.html", context, status=status)


@admin.register(RulesVersion)
class RulesVersionAdmin(ReadOnly, admin.ModelAdmin):
    """What answers were cleaned with; written by use alone."""

    list_display = ["__str__", "count", "first_used_at"]
    fields = ["listing", "first_used_at"]

    @admin.display(description="rules")
    def count(self, version: RulesVersion) -> int:
        return len(version.rules)

    @admin.display(description="rules")
    def listing(self, version: RulesVersion) -> str:
        kinds = dict(AnswerRule.Kind.choices)
        return "\n".join(
            f"{text}: {kinds[kind].lower()}{', inside text too' if inside else ''}"
            for text, kind, inside in version.rules
        )


@admin.action(description="Clean the selected simulations’ answers again")
def clean_again(
    model_admin: admin.ModelAdmin, request: HttpRequest, simulations: SimulationQuerySet
) -> HttpResponse | None:
    """Shows what would change; once that is confirmed, changes it."""
    answered = simulations.with_raw_answer()
    count = answered.count()
    if count > MOST_AT_ONCE:
        model_admin.message_user(
            request,
            f"Select at most {MOST_AT_ONCE} answers; these are {count:,}. "
            "For more there is the command clean_answers.",
            level=messages.ERROR,
        )
        return None
    rules = current_rules()
    changes = list(find_changes(answered, rules))
    if request.POST.get("version") == str(rules.version):
        changed = apply_changes(changes, rules, request.user)
        message = f"Cleaned again: {changed} of {count} answers changed. The old ones are kept."
        model_admin.message_user(request, message)
        return None
    context = {
        **model_admin.admin_site.each_context(request),
        "title": "Clean answers again?",
        "opts": model_admin.opts,
        "rules": rules,
        "count": count,
        "changes": changes,
        "shown": list(islice(changes, CHANGES_SHOWN)),
        "selected": [str(change.simulation.pk) for change in changes],
        "were_changed": "version" in request.POST,
    }
    return TemplateResponse(request, "admin/answer_rules/clean_again.html", context)
