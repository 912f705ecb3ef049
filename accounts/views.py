from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_safe

from accounts.models import Role
from accounts.permissions import check_role


@require_safe
def admin_sign_in(request: HttpRequest) -> HttpResponse:
    """The admin site's sign-in: the site's own one, and the 403 page without the role."""
    if request.user.is_authenticated:
        check_role(request.user, Role.ADMIN)
        return redirect("admin:index")
    return redirect_to_login(request.GET.get("next") or reverse("admin:index"))
