"""How much a request may bring, before any of it is read."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from config.errors import PayloadTooLarge, error_page


class UploadLimitMiddleware:
    """Django's own limit leaves files out: it would write them to the disk, for anybody.

    A body without a Content-Length is not read at all.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        length = request.headers.get("Content-Length", "")
        limit = limit_of(request)
        if length.isdigit() and int(length) > limit:
            return error_page(request, 413, PayloadTooLarge.beyond(limit).message)
        return self.get_response(request)


def limit_of(request: HttpRequest) -> int:
    """Bytes. Only the admin site takes files: imports."""
    if request.path.startswith("/admin/"):
        return settings.LARGEST_UPLOAD
    return settings.DATA_UPLOAD_MAX_MEMORY_SIZE
