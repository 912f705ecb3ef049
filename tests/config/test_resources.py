"""What all resources of the API have from config/resources.py."""

import pytest
from rest_framework.test import APIRequestFactory, force_authenticate

from accounts.models import User
from config.resources import ItemView
from tests.conftest import ApiClient

pytestmark = pytest.mark.django_db


class ForgetfulView(ItemView):
    """Says nothing of who may."""

    def rows(self) -> object:
        return User.objects.all()


@pytest.mark.parametrize("method", ["get", "patch", "delete"])
def test_a_view_that_does_not_say_who_may_refuses_everybody(method: str, admin: User) -> None:
    request = getattr(APIRequestFactory(), method)("/")
    assert ForgetfulView.as_view()(request, pk=admin.pk).status_code == 401
    force_authenticate(request, admin)
    assert ForgetfulView.as_view()(request, pk=admin.pk).status_code == 403
    assert User.objects.filter(pk=admin.pk).exists()


@pytest.mark.parametrize("path", ["agents", "answer-rules", "knowledge/keywords"])
@pytest.mark.parametrize("cursor", ["cD0=", "cD14", "cD0xIE9SIDE="])  # p= p=x p=1 OR 1
def test_a_made_up_cursor_is_no_page(path: str, cursor: str, admin: User) -> None:
    answer = ApiClient(admin).get(f"/api/v1/{path}", {"cursor": cursor})
    assert (answer.status_code, answer.json()["error"]) == (404, "NotFound")
    unknown = ApiClient(admin).get(f"/api/v1/{path}", {"page": "2"})
    assert (unknown.status_code, list(unknown.json()["details"])) == (400, ["page"])
