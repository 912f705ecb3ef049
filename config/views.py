from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe


@csrf_exempt
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """Whether this process answers; says nothing about the database or the engine."""
    return JsonResponse({"status": "ok"})
