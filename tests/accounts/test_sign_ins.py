"""What ends a session and a sign-in over the API, and that it stays over."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client

from accounts.models import ApiToken, User
from accounts.sessions import BrowserSession
from simulations.privacy.erasing import request_erasure
from tests.accounts.test_tokens import api_sign_in, password_form, sign_in, works

pytestmark = pytest.mark.django_db

PAGE = "/account/"


def gets_in(client: Client) -> bool:
    return client.get(PAGE).status_code == 200


def in_the_admin(user: User, admin: User) -> None:
    form = {"username": user.username, "role": user.role, "modules": user.modules}
    form |= {"monthly_simulation_limit": user.monthly_simulation_limit}  # is_active: no tick
    path = f"/admin/accounts/user/{user.pk}/change/"
    assert sign_in(admin).post(path, form).status_code == 302


def by_update(user: User, admin: User) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)


def by_save(user: User, admin: User) -> None:
    user.is_active = False
    user.save()


def by_save_of_named_fields(user: User, admin: User) -> None:
    user.is_active = False
    user.save(update_fields=["is_active"])


DISABLE = [in_the_admin, by_update, by_save, by_save_of_named_fields]


@pytest.mark.parametrize("disable", DISABLE)
def test_what_a_disabled_user_signed_in_before_is_over_for_good(
    analyst: User, admin: User, disable: Callable[[User, User], None]
) -> None:
    session, sign_in_secret = sign_in(analyst), api_sign_in()
    _, program = ApiToken.objects.issue(analyst, "Nightly", timedelta(days=1))
    assert gets_in(session)
    assert works(sign_in_secret)
    disable(analyst, admin)
    assert not User.objects.get(pk=analyst.pk).is_active
    assert not gets_in(session)
    assert not works(sign_in_secret)
    assert not works(program)
    User.objects.filter(pk=analyst.pk).update(is_active=True)
    assert not gets_in(session)
    assert not works(sign_in_secret)
    assert works(program)
    assert gets_in(sign_in(User.objects.get(pk=analyst.pk)))


def test_what_was_not_looked_at_while_disabled_is_over_too(analyst: User, outsider: User) -> None:
    session, sign_in_secret, other = sign_in(analyst), api_sign_in(), sign_in(outsider)
    User.objects.filter(pk=analyst.pk).update(is_active=False)
    User.objects.filter(pk=analyst.pk).update(is_active=True)
    assert not gets_in(session)
    assert not works(sign_in_secret)
    assert gets_in(other)


def test_a_deleted_user_is_out_at_once(analyst: User) -> None:
    session, sign_in_secret = sign_in(analyst), api_sign_in()
    request_erasure(analyst)
    assert not gets_in(session)
    assert not works(sign_in_secret)


def test_an_admin_ends_the_sign_ins_of_those_who_are_chosen(
    analyst: User, outsider: User, admin: User
) -> None:
    session, sign_in_secret, other = sign_in(analyst), api_sign_in(), sign_in(outsider)
    _, program = ApiToken.objects.issue(analyst, "Nightly", timedelta(days=1))
    curator = sign_in(admin)
    form = {"action": "sign_out", "_selected_action": [analyst.pk]}
    response = curator.post("/admin/accounts/user/", form, follow=True)
    assert "1 user is signed out everywhere" in response.text
    assert not gets_in(session)
    assert not works(sign_in_secret)
    assert works(program)
    assert gets_in(other)
    assert gets_in(sign_in(User.objects.get(pk=analyst.pk)))


def test_a_form_saved_meanwhile_brings_nothing_back(analyst: User) -> None:
    """Whoever read the row before its sign-ins were ended knows an older end."""
    session, read_before = sign_in(analyst), User.objects.get(pk=analyst.pk)
    User.objects.filter(pk=analyst.pk).end_sign_ins()
    read_before.first_name = "Mary"
    read_before.save()
    assert not gets_in(session)


def test_signing_out_ends_the_session_itself(analyst: User) -> None:
    client = sign_in(analyst)
    cookie = client.cookies["sessionid"].value
    client.post("/sign-out/")
    stolen = Client()
    stolen.cookies["sessionid"] = cookie
    assert not gets_in(stolen)


def test_signing_in_and_a_new_password_make_a_new_session(analyst: User) -> None:
    client = Client()
    client.cookies["sessionid"] = "planted" + "0" * 25
    client.post("/sign-in/", {"username": "analyst", "password": "pw"})
    signed_in = client.cookies["sessionid"].value
    assert not signed_in.startswith("planted")
    assert client.post("/account/password/", password_form("Bergamot-tea-9")).status_code == 302
    assert client.cookies["sessionid"].value != signed_in
    assert not BrowserSession.objects.filter(session_key=signed_in).exists()
