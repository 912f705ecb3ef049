from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import LoginView, redirect_to_login
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST, require_safe

from accounts import second_factor
from accounts.forms import NewPasswordForm, SignInForm, TokenForm
from accounts.models import ApiToken, Module, Role
from accounts.permissions import check_role
from accounts.sessions import sessions_of
from accounts.throttles import spend_for_address
from config.errors import AppError


@require_safe
def admin_sign_in(request: HttpRequest) -> HttpResponse:
    """The admin site's sign-in: the site's own one, and the 403 page without the role."""
    if request.user.is_authenticated:
        check_role(request.user, Role.ADMIN)
        return redirect("admin:index")
    return redirect_to_login(request.GET.get("next") or reverse("admin:index"))


class SignInView(LoginView):
    template_name = "accounts/sign_in.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True

    def post(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        spend_for_address(request)
        return super().post(request, *args, **kwargs)

    def form_valid(self, form: SignInForm) -> HttpResponse:
        """Nobody is signed in yet of whom more than a password is asked."""
        user = form.get_user()
        if not (user.has_second_factor or user.must_enrol):
            return super().form_valid(form)
        second_factor.begin(self.request, user, user.backend, self.get_success_url())
        return redirect("sign-in-enrol" if user.must_enrol else "sign-in-code")


@require_safe
@login_required
@never_cache
def account(request: HttpRequest) -> HttpResponse:
    return show_account(request)


@require_POST
@login_required
@never_cache
def token_new(request: HttpRequest) -> HttpResponse:
    """Answers with the page that shows the token: nothing may keep it for a page after this."""
    form = TokenForm(request.POST)
    if not form.is_valid():
        return show_account(request, status=400, token_form=form)
    name = form.cleaned_data["name"]
    try:
        token, secret = ApiToken.objects.issue(request.user, name, form.lifetime)
    except AppError as error:
        form.add_error("name", error.message)
        return show_account(request, status=error.status_code, token_form=form)
    return show_account(request, status=201, new_token=token, secret=secret)


@require_POST
@login_required
def token_revoke(request: HttpRequest, pk: str) -> HttpResponse:
    ApiToken.objects.usable_by(request.user).filter(token_key=pk).delete()
    messages.success(request, "The token is revoked.")
    return redirect(reverse("account") + "#tokens")


@require_POST
@login_required
def session_end(request: HttpRequest, handle: str) -> HttpResponse:
    """One that is over already needs no telling: it is not listed any more."""
    for session in sessions_of(request.user):
        if session.handle == handle:
            session.delete()
    messages.success(request, "That browser is signed out.")
    return redirect(reverse("account") + "#browsers")


@sensitive_post_parameters()
@require_POST
@login_required
@never_cache
def password_change(request: HttpRequest) -> HttpResponse:
    """Ends all other sessions and sign-ins, and tokens if that is asked for."""
    form = NewPasswordForm(request, request.POST)
    if not form.is_valid():
        return show_account(request, status=400, password_form=form)
    with transaction.atomic():
        form.save()
        if form.cleaned_data["revoke_tokens"]:
            request.user.auth_token_set.all().delete()
    update_session_auth_hash(request, request.user)
    messages.success(request, "Your password is changed. You are signed out everywhere else.")
    return redirect("account")


def show_account(
    request: HttpRequest,
    *,
    status: int = 200,
    token_form: TokenForm | None = None,
    password_form: NewPasswordForm | None = None,
    **made: object,
) -> HttpResponse:
    """With the form that was sent, if one was, and the focus on its first mistake."""
    forms = {
        "token_form": token_form or TokenForm(),
        "password_form": password_form or NewPasswordForm(request),
    }
    for form in forms.values():
        for name in list(form.errors)[:1]:
            form.fields[name].widget.attrs["autofocus"] = True
    page = {
        "tokens": ApiToken.objects.usable_by(request.user),
        "sessions": sessions_of(request.user),
        "modules": [(module.label, request.user.has_module(module)) for module in Module],
    }
    return render(request, "accounts/account.html", forms | page | made, status=status)
