"""What is refused before anybody asks what it wants."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from config.errors import MESSAGES, error_json, error_page

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
# A redirect would hide from a program that it sends its token unencrypted first.
PROGRAMS = ("/api/", "/webhooks/", "/metrics")
UNENCRYPTED = (
    "Only https is accepted here. What was sent without it, such as a token, may have been "
    "read on its way: replace it. If it was sent over https, the proxy leaves out "
    "X-Forwarded-Proto, or TRUST_PROXY is not set."
)


class RefusalMiddleware:
    """Refuses methods that nothing here has, such as TRACE, and programs that come over http."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.method not in METHODS:
            response = error_page(request, 405, MESSAGES[405])
            response["Allow"] = ", ".join(METHODS)
            return response
        if is_unencrypted_program(request):
            return error_json(403, UNENCRYPTED)
        return self.get_response(request)


def is_unencrypted_program(request: HttpRequest) -> bool:
    must_be_secure = settings.SECURE_SSL_REDIRECT and not request.is_secure()
    return must_be_secure and request.path.startswith(PROGRAMS)
