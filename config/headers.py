"""What every answer tells browsers, whatever made it; see also CONTENT_SECURITY_POLICY."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

# No page here asks for any of these, and nothing that got into one shall.
SWITCHED_OFF = [
    "accelerometer",
    "browsing-topics",
    "camera",
    "display-capture",
    "geolocation",
    "gyroscope",
    "magnetometer",
    "microphone",
    "midi",
    "payment",
    "usb",
]
HEADERS = {
    "Permissions-Policy": ", ".join(f"{feature}=()" for feature in SWITCHED_OFF),
    "Cross-Origin-Resource-Policy": "same-origin",
    # Nearly every answer is somebody's own. What may be kept says so itself, as assets do.
    "Cache-Control": "no-store",
}


class HeadersMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response
