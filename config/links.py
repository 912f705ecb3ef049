"""Absolute links: where people reach the site, whatever `Host` a proxy passes on."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse


def link_to(view: str, *args: Any) -> str:
    return settings.FRONTEND_URL + reverse(view, args=args)


def link_here(request: HttpRequest) -> str:
    """With the query, as it came."""
    return settings.FRONTEND_URL + request.get_full_path()
