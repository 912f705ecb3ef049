"""Answers to pages that ask for news of themselves."""

from functools import wraps

from django.http import HttpRequest, HttpResponse
from django_htmx.http import HttpResponseClientRefresh

from accounts.permissions import View


def reloads_when_signed_out(view: View) -> View:
    """For fragments: the page's own reload leads to the sign-in page.

    A fragment's redirect would show it inside the page.
    """

    @wraps(view)
    def guarded(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        if request.htmx and not request.user.is_authenticated:
            return HttpResponseClientRefresh()
        return view(request, *args, **kwargs)

    return guarded


def unchanged(seconds: int) -> HttpResponse:
    """Nothing to swap; asking again is worth it after `seconds`."""
    return HttpResponse(status=204, headers={"Retry-After": str(seconds)})
