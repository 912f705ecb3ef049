"""Who gets in: sign-in, roles and modules, on pages and API alike."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import ApiToken, Module, Role, User
from knowledge.models import Article
from tests.conftest import ApiClient

pytestmark = pytest.mark.django_db

ARTICLE = {"slug": "new-001", "title": "New", "category": "Testing", "text": "Text."}


def test_api_sign_in_trades_a_password_for_a_token(analyst: User) -> None:
    response = Client().post(
        "/api/v1/auth/login",
        {"username": "analyst", "password": "pw"},
        content_type="application/json",
    )
    assert response.status_code == 200
    token = response.json()["token"]
    assert token.startswith("sitrep_")
    assert response.json()["expires_at"] > f"{timezone.now():%Y-%m-%d}"
    me = Client(headers={"Authorization": f"Bearer {token}"}).get("/api/v1/me")
    assert me.json()["username"] == "analyst"
    assert token not in str(ApiToken.objects.values())


@pytest.mark.parametrize("password", ["wrong", ""])
def test_a_wrong_password_is_refused(analyst: User, password: str) -> None:
    response = Client().post(
        "/api/v1/auth/login",
        {"username": "analyst", "password": password},
        content_type="application/json",
    )
    assert response.status_code == (401 if password else 400)
    assert not ApiToken.objects.exists()


def test_a_disabled_user_is_out_at_once(analyst: User) -> None:
    client = ApiClient(analyst)
    User.objects.filter(pk=analyst.pk).update(is_active=False)
    assert client.get("/api/v1/me").status_code == 401
    response = client.post_json("auth/login", {"username": "analyst", "password": "pw"})
    assert response.status_code == 401


@pytest.mark.parametrize(
    "header",
    ["Bearer sitrep_nonsense", "Bearer ", "Bearer a b", "Bearer \xff", "Token x", "Basic YTpi"],
)
def test_a_bad_token_is_401_in_the_one_shape(analyst: User, header: str) -> None:
    response = Client(headers={"Authorization": header}).get("/api/v1/me")
    assert response.status_code == 401
    assert response.json()["error"] == "Unauthorized"
    assert response.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("ends", [timedelta(seconds=-1), None])
def test_an_expired_token_and_one_without_an_end_are_refused(
    analyst: User, ends: timedelta | None
) -> None:
    client = ApiClient(analyst)
    ApiToken.objects.update(expiry=ends and timezone.now() + ends)
    assert client.get("/api/v1/me").status_code == 401


def test_signing_out_revokes_the_token_or_all(analyst: User) -> None:
    first, second, third = (ApiClient(analyst) for _ in range(3))
    assert first.post_json("auth/logout", {}).status_code == 204
    assert first.get("/api/v1/me").status_code == 401
    assert second.post_json("auth/logoutall", {}).status_code == 204
    assert third.get("/api/v1/me").status_code == 401


def test_last_use_is_remembered(analyst: User) -> None:
    ApiClient(analyst).get("/api/v1/me")
    assert ApiToken.objects.get().last_used_at is not None


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", "me"),
        ("get", "simulations"),
        ("post", "simulations"),
        ("get", "knowledge/search?q=gate"),
        ("get", "knowledge/articles"),
        ("post", "knowledge/articles"),
    ],
)
def test_without_sign_in_the_api_answers_401(method: str, path: str) -> None:
    response = getattr(Client(), method)(f"/api/v1/{path}")
    assert response.status_code == 401
    assert response.json()["statusCode"] == 401
    assert response.json()["error"] == "Unauthorized"


@pytest.mark.parametrize("path", ["knowledge/search?q=gate", "knowledge/articles"])
def test_without_the_module_it_is_403_and_says_which(trainee: User, path: str) -> None:
    response = ApiClient(trainee).get(f"/api/v1/{path}")
    assert response.status_code == 403
    assert response.json()["error"] == "Forbidden"
    assert response.json()["message"] == "No access to module: knowledge-base"


def test_an_admin_is_not_exempt_from_modules(admin: User) -> None:
    User.objects.filter(pk=admin.pk).update(modules=[])
    response = ApiClient(admin).post_json("simulations", {"query": "May I?"})
    assert response.status_code == 403
    assert response.json()["message"] == "No access to module: simulations"


def test_only_an_admin_adds_articles(analyst: User, admin: User) -> None:
    refused = ApiClient(analyst).post_json("knowledge/articles", ARTICLE)
    assert refused.status_code == 403
    assert refused.json()["message"] == "Requires role: ADMIN"
    accepted = ApiClient(admin).post_json("knowledge/articles", ARTICLE)
    assert accepted.status_code == 201
    assert Article.objects.get().status == "draft"
    location = accepted.headers["Location"]
    assert ApiClient(admin).get(location).json()["slug"] == "new-001"
    assert ApiClient(analyst).get(location).status_code == 404


@pytest.mark.parametrize("path", ["/simulations/", "/simulations/new/"])
def test_pages_lead_to_sign_in_or_say_what_is_missing(analyst: User, path: str) -> None:
    client = Client()
    response = client.get(path)
    assert response.status_code == 302
    assert response.headers["Location"] == f"/sign-in/?next={path}"
    User.objects.filter(pk=analyst.pk).update(modules=[])
    client.force_login(analyst)
    response = client.get(path)
    assert response.status_code == 403
    assert "No access to module: simulations" in response.content.decode()


def test_the_role_grants_the_admin_site(analyst: User, admin: User) -> None:
    client = Client()
    client.force_login(analyst)
    refused = client.get("/admin/", follow=True)
    assert refused.status_code == 403
    assert "Requires role: ADMIN" in refused.content.decode()
    anonymous = Client().get("/admin/knowledge/article/", follow=True)
    assert anonymous.redirect_chain[-1][0] == "/sign-in/?next=/admin/knowledge/article/"
    client.force_login(admin)
    for path in ("", "accounts/user/add/", "knowledge/article/", "simulations/simulation/"):
        assert client.get(f"/admin/{path}").status_code == 200


def test_a_new_user_may_do_nothing() -> None:
    user = User.objects.create_user("new")
    assert (user.role, user.modules, user.is_staff) == (Role.ANALYST, [], False)


def test_a_superuser_is_an_admin_with_all_modules() -> None:
    user = User.objects.create_superuser("root", password="pw")
    assert (user.role, user.modules, user.is_staff) == (Role.ADMIN, Module.values, True)


def test_modules_are_checkboxes_in_the_admin(admin: User, trainee: User) -> None:
    client = Client()
    client.force_login(admin)
    path = f"/admin/accounts/user/{trainee.pk}/change/"
    page = client.get(path).content.decode()
    assert page.count('type="checkbox" name="modules"') == 2
    form = {"username": "trainee", "role": "ANALYST", "is_active": "on"}
    form |= {"monthly_simulation_limit": "7", "modules": ["knowledge-base"]}
    assert client.post(path, form).status_code == 302
    trainee.refresh_from_db()
    assert (trainee.modules, trainee.monthly_simulation_limit) == (["knowledge-base"], 7)


def test_an_unknown_page_of_the_api_is_json() -> None:
    response = Client().get("/api/v1/nothing")
    assert response.status_code == 404
    assert response.json()["error"] == "NotFound"


def test_a_request_id_is_taken_over_or_made() -> None:
    given = Client(headers={"X-Request-ID": "abc-12345"}).get("/api/v1/me")
    assert given.headers["X-Request-ID"] == given.json()["requestId"] == "abc-12345"
    for bad in ("x", "a b c d e f g h", "é" * 10):
        made = Client(headers={"X-Request-ID": bad}).get("/api/v1/me")
        assert made.headers["X-Request-ID"] != bad
