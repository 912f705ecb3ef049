from django.contrib import admin
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.views.decorators.http import require_safe

from accounts.models import Module
from accounts.permissions import module_required
from simulations.curation.health import examine

MAX_FINDINGS_SHOWN = 50


@admin.site.admin_view
@require_safe
@module_required(Module.KNOWLEDGE_BASE)
def curation_health(request: HttpRequest) -> TemplateResponse:
    context = admin.site.each_context(request) | {
        "title": "Curation health",
        "health": examine(),
        "max_shown": MAX_FINDINGS_SHOWN,
        "shown": f":{MAX_FINDINGS_SHOWN}",
    }
    return TemplateResponse(request, "admin/curation_health.html", context)
