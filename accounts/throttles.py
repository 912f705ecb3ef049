from django.http import HttpRequest
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from config.client_address import client_address
from config.throttling import ADDRESS, TOKEN, USER, spend


class RequestThrottle(BaseThrottle):
    """Counts for the user and the token, or for the address of whoever is not signed in."""

    def allow_request(self, request: Request, view: object) -> bool:
        if not request.user.is_authenticated:
            spend_for_address(request)
        else:
            spend(USER, request.user.pk)
            if request.auth:
                spend(TOKEN, request.auth.pk)
        return True


def spend_for_address(request: HttpRequest | Request) -> None:
    spend(ADDRESS, client_address(request) or "unknown")
