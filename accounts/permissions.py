"""Who may do what by role and module: 401 without sign-in, 403 with the reason.

The same two rules serve pages (decorators) and the API (permission classes).
"""

from collections.abc import Callable
from functools import wraps

from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from accounts.models import Module, Role, User
from accounts.second_factor import SecondFactorMissing
from config.errors import Forbidden, Unauthorized

View = Callable[..., HttpResponse]


def check_signed_in(user: User | AnonymousUser) -> None:
    if not user.is_authenticated:
        raise Unauthorized
    if user.must_enrol:
        raise SecondFactorMissing


def check_role(user: User | AnonymousUser, *roles: Role) -> None:
    check_signed_in(user)
    if not user.has_role(*roles):
        raise Forbidden(f"Requires role: {' or '.join(roles)}")


def check_module(user: User | AnonymousUser, module: Module) -> None:
    check_signed_in(user)
    if not user.has_module(module):
        raise Forbidden(missing(module))


def missing(module: Module) -> str:
    """Why something is refused or left out."""
    return f"No access to module: {module}"


def role_required(role: Role) -> Callable[[View], View]:
    """As `module_required`, with a role."""

    def decorate(view: View) -> View:
        @wraps(view)
        @login_required
        def guarded(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
            check_role(request.user, role)
            return view(request, *args, **kwargs)

        return guarded

    return decorate


def module_required(module: Module) -> Callable[[View], View]:
    """A page's rule: to the sign-in page without login, the 403 page without the module."""

    def decorate(view: View) -> View:
        @wraps(view)
        @login_required
        def guarded(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
            check_module(request.user, module)
            return view(request, *args, **kwargs)

        return guarded

    return decorate


def sign_in_required(view: View) -> View:
    """As `module_required`, for everybody."""

    @wraps(view)
    @login_required
    def guarded(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        check_signed_in(request.user)
        return view(request, *args, **kwargs)

    return guarded


def says_when_signed_out(view: View) -> View:
    """For fragments beside what is being typed, which a way to the sign-in page would take away."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        if request.htmx and not request.user.is_authenticated:
            return render(request, "_signed_out.html")
        return view(request, *args, **kwargs)

    return guarded


class IsSignedIn(BasePermission):
    def has_permission(self, request: Request, view: object) -> bool:
        check_signed_in(request.user)
        return True


class IsAdmin(BasePermission):
    asks_for = "the role `ADMIN`"

    def has_permission(self, request: Request, view: object) -> bool:
        check_role(request.user, Role.ADMIN)
        return True


class HasSimulations(BasePermission):
    asks_for = "the module `simulations`"

    def has_permission(self, request: Request, view: object) -> bool:
        check_module(request.user, Module.SIMULATIONS)
        return True


class HasKnowledgeBase(BasePermission):
    asks_for = "the module `knowledge-base`"

    def has_permission(self, request: Request, view: object) -> bool:
        check_module(request.user, Module.KNOWLEDGE_BASE)
        return True
