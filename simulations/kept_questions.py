"""A question that is sent in vain is shown, to be copied: it must not be lost with its form."""

from functools import wraps

from django.http import HttpRequest, HttpResponse

from accounts.permissions import View
from config.errors import error_page


def question_in(request: HttpRequest) -> str:
    """The one thing that people write for long, whatever form it is in."""
    return request.POST.get("query", "")


def keeps_question_when_signed_out(view: View) -> View:
    """For forms: the way to the sign-in page would take away what was written."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        question = question_in(request)
        if question and not request.user.is_authenticated:
            return error_page(request, 401, "You are no longer signed in", kept=question)
        return view(request, *args, **kwargs)

    return guarded


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Django's CSRF_FAILURE_VIEW, for every form of the site."""
    message = "This form is no longer valid. Go back, reload the page and send it again."
    return error_page(request, 403, message, kept=question_in(request))
