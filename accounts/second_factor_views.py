"""The pages of the second factor: at sign-in, where it is set up, and where it is changed."""

import base64
from functools import wraps

import segno
from django.contrib import messages
from django.contrib.auth import BACKEND_SESSION_KEY, logout, update_session_auth_hash
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django_otp.plugins.otp_totp.models import TOTPDevice

from accounts import second_factor
from accounts.forms import CodeForm, ConfirmedForm
from accounts.models import User
from accounts.permissions import View
from accounts.throttles import spend_for_address
from config.errors import AppError

KEY = "second_factor_key"


def confirmation_required(view: View) -> View:
    """For users with a second factor, who have to send a code and the password again."""

    @sensitive_post_parameters()
    @require_POST
    @login_required
    @never_cache
    @wraps(view)
    def guarded(request: HttpRequest) -> HttpResponse:
        if not request.user.has_second_factor:
            return redirect("second-factor")
        form = ConfirmedForm(request, request.POST, of="either")
        if not check_code(request, request.user, form):
            return show(request, form, status=400)
        return view(request)

    return guarded


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def sign_in_code(request: HttpRequest) -> HttpResponse:
    """The second page of the sign-in, for those who gave the right password on the first."""
    pending = second_factor.find_pending(request)
    if pending is None or not pending.user.has_second_factor:
        return redirect("login")
    by_recovery = "recovery" in request.GET
    form = CodeForm(request.POST or None, of="recovery" if by_recovery else "app")
    if request.method == "POST":
        spend_for_address(request)
        if check_code(request, pending.user, form):
            second_factor.finish(request, pending)
            # Not `redirect`, which would take a path without a slash for a page's name.
            return HttpResponseRedirect(pending.goes_to)
    form.fields["code"].widget.attrs["autofocus"] = True
    page = {"form": form, "by_recovery": by_recovery, "name": pending.user.get_username()}
    return render(request, "accounts/sign_in_code.html", page)


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def sign_in_enrol(request: HttpRequest) -> HttpResponse:
    """The second page for those who must set up a second factor before anything else."""
    pending = second_factor.find_pending(request)
    if pending is None or not pending.user.must_enrol:
        return redirect("login")
    form = CodeForm(request.POST or None, of="app")
    if request.method == "POST":
        spend_for_address(request)
        if codes := try_to_enrol(request, pending.user, form):
            second_factor.finish(request, pending)
            return show_codes(request, codes, goes_to=pending.goes_to)
    page = {"form": form, "name": pending.user.get_username()}
    page |= what_to_enter(request, pending.user)
    return render(request, "accounts/sign_in_enrol.html", page)


@require_safe
@login_required
@never_cache
def second_factor_page(request: HttpRequest) -> HttpResponse:
    of = "either" if request.user.has_second_factor else "app"
    return show(request, ConfirmedForm(request, of=of))


@sensitive_post_parameters()
@require_POST
@login_required
@never_cache
def second_factor_enrol(request: HttpRequest) -> HttpResponse:
    if request.user.has_second_factor:
        return redirect("second-factor")
    form = ConfirmedForm(request, request.POST, of="app")
    codes = try_to_enrol(request, request.user, form)
    if not codes:
        return show(request, form, status=400)
    update_session_auth_hash(request, request.user)
    return show_codes(request, codes)


@confirmation_required
def second_factor_codes(request: HttpRequest) -> HttpResponse:
    """Makes new recovery codes; the old ones end."""
    return show_codes(request, second_factor.renew_recovery_codes(request.user))


@confirmation_required
def second_factor_remove(request: HttpRequest) -> HttpResponse:
    user, backend = request.user, request.session[BACKEND_SESSION_KEY]
    second_factor.remove(user)
    if user.must_enrol:
        logout(request)
        second_factor.begin(request, user, backend, reverse("account"))
        return redirect("sign-in-enrol")
    update_session_auth_hash(request, user)
    messages.success(request, "The second factor is off. You are signed out everywhere else.")
    return redirect("account")


def check_code(request: HttpRequest, user: User, form: CodeForm) -> bool:
    """Uses the code up if the form is right in all else; says in the form what is wrong."""
    if not form.is_valid():
        return False
    try:
        second_factor.verify(request, user, form.cleaned_data["code"])
    except AppError as error:
        form.add_error("code", error.message)
        return False
    return True


def try_to_enrol(request: HttpRequest, user: User, form: CodeForm) -> list[str]:
    """The recovery codes; none if something is wrong, which the form then says."""
    if not form.is_valid():
        return []
    try:
        codes = second_factor.enrol(user, key_of(request, user), form.cleaned_data["code"])
    except AppError as error:
        form.add_error("code", error.message)
        return []
    del request.session[KEY]
    return codes


def key_of(request: HttpRequest, user: User) -> str:
    """The session's and the user's: nobody knows it before, or can wait until it is used."""
    kept = request.session.get(KEY, {})
    if kept.get("user") != user.pk:
        kept = request.session[KEY] = {"user": user.pk, "key": second_factor.new_key()}
    return kept["key"]


def show(request: HttpRequest, form: ConfirmedForm, status: int = 200) -> HttpResponse:
    for name in list(form.errors)[:1]:
        form.fields[name].widget.attrs["autofocus"] = True
    page: dict[str, object] = {"form": form}
    if request.user.has_second_factor:
        page["codes_left"] = request.user.recovery_codes.count()
    else:
        page |= what_to_enter(request, request.user)
    return render(request, "accounts/second_factor.html", page, status=status)


def what_to_enter(request: HttpRequest, user: User) -> dict[str, str]:
    key = key_of(request, user)
    in_base32 = base64.b32encode(bytes.fromhex(key)).decode()
    return {
        "key": second_factor.in_groups(in_base32, " "),
        "qr_code": as_svg(TOTPDevice(user=user, key=key).config_url),
    }


def as_svg(text: str) -> SafeString:
    """Dark on light in any theme: not every app reads it the other way round."""
    code = segno.make(text, error="m", micro=False)
    svg = code.svg_inline(omitsize=True, dark="#000", light="#fff", svgclass="qr-code")
    return mark_safe(svg)  # noqa: S308 - made of squares


def show_codes(request: HttpRequest, codes: list[str], goes_to: str = "") -> HttpResponse:
    """Answers with the codes: nothing may keep them for a page after this."""
    page = {"codes": codes, "goes_to": goes_to or reverse("account")}
    return render(request, "accounts/recovery_codes.html", page, status=201)
