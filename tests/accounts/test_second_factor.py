"""The second factor: set up, asked for on every way in, and required of administrators."""

import base64
import logging
import re
import time
from contextlib import closing
from datetime import timedelta
from threading import Thread

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.db.models import F
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone
from django_otp.oath import totp
from django_otp.plugins.otp_totp.models import TOTPDevice
from pytest_django import Settings

from accounts import second_factor
from accounts.audit import AuditEntry
from accounts.models import ApiToken, FailedSignIn, RecoveryCode, User

pytestmark = pytest.mark.django_db

PAGE = "/account/second-factor/"
WRONG = "000 000"


def code_of(user: User) -> str:
    """Of the app, now; that it was used is forgotten."""
    TOTPDevice.objects.filter(user=user).update(last_t=-1)
    return code_for(TOTPDevice.objects.get(user=user).key)


def code_for(key: str, steps: int = 0) -> str:
    return f"{totp(bytes.fromhex(key), t0=-30 * steps):06}"


def enrol(user: User) -> list[str]:
    """Answers the recovery codes."""
    key = second_factor.new_key()
    return second_factor.enrol(user, key, code_for(key))


@pytest.fixture
def enrolled(analyst: User) -> User:
    enrol(analyst)
    return analyst


@pytest.fixture
def recovery_codes(analyst: User) -> list[str]:
    return enrol(analyst)


def name_password(client: Client, query: str = "", username: str = "analyst") -> HttpResponse:
    return client.post(f"/sign-in/{query}", {"username": username, "password": "pw"})


def name_code(client: Client, code: str) -> HttpResponse:
    return client.post("/sign-in/code/", {"code": code})


def is_in(client: Client) -> bool:
    return client.get("/account/").status_code == 200


def api_sign_in(**body: str) -> HttpResponse:
    body = {"username": "analyst", "password": "pw"} | body
    return Client().post("/api/v1/auth/login", body, content_type="application/json")


def works(secret: str) -> bool:
    headers = {"Authorization": f"Bearer {secret}"}
    return Client(headers=headers).get("/api/v1/me").status_code == 200


# --- Signing in on the page -------------------------------------------------------------------


def test_a_password_alone_opens_nothing(enrolled: User) -> None:
    client = Client()
    response = name_password(client)
    assert (response.status_code, response.url) == (302, "/sign-in/code/")
    assert not is_in(client)
    assert client.get("/api/v1/me").status_code == 401
    page = client.get("/sign-in/code/")
    assert "Signing in as analyst" in page.text
    assert "no-store" in page.headers["Cache-Control"]


def test_the_code_leads_where_one_wanted_to_go(enrolled: User) -> None:
    client = Client()
    name_password(client, "?next=/knowledge/?q=convoys")
    assert name_code(client, code_of(enrolled)).url == "/knowledge/?q=convoys"
    assert is_in(client)
    assert "sign_in" not in client.session


def test_another_site_is_no_place_to_go(enrolled: User) -> None:
    client = Client()
    name_password(client, "?next=https://elsewhere.example/")
    assert name_code(client, code_of(enrolled)).url == "/simulations/"


@pytest.mark.parametrize("path", ["nowhere", "account", "?page=2"])
def test_what_names_no_page_is_taken_as_without_a_code(enrolled: User, path: str) -> None:
    client = Client()
    name_password(client, f"?next={path}")
    assert name_code(client, code_of(enrolled)).url == path
    assert is_in(client)


def test_who_has_none_is_asked_for_none(analyst: User) -> None:
    client = Client()
    assert name_password(client).url == "/simulations/"
    assert is_in(client)


def test_without_a_password_there_is_no_second_page(enrolled: User) -> None:
    client = Client()
    assert client.get("/sign-in/code/").url == "/sign-in/"
    assert name_code(client, code_of(enrolled)).url == "/sign-in/"
    assert not is_in(client)


def test_a_code_works_once(enrolled: User) -> None:
    code = code_of(enrolled)
    for client, gets_in in [(Client(), True), (Client(), False)]:
        name_password(client)
        name_code(client, code)
        assert is_in(client) == gets_in


def test_the_code_that_it_was_set_up_with_is_used_up(analyst: User) -> None:
    key = second_factor.new_key()
    code = code_for(key)
    second_factor.enrol(analyst, key, code)
    assert api_sign_in(code=code).status_code == 401


@pytest.mark.parametrize(("steps", "gets_in"), [(-3, False), (-1, True), (1, True), (3, False)])
def test_clocks_may_differ_by_half_a_minute(enrolled: User, steps: int, gets_in: bool) -> None:
    device = TOTPDevice.objects.get(user=enrolled)
    TOTPDevice.objects.update(last_t=-1, drift=0)
    while time.time() % 30 > 29:  # the test must not fall between two steps
        time.sleep(0.2)
    response = api_sign_in(code=code_for(device.key, steps))
    assert (response.status_code == 200) == gets_in


@pytest.mark.parametrize("space", [" ", "-", "  "])
def test_codes_are_taken_as_people_write_them(enrolled: User, space: str) -> None:
    code = code_of(enrolled)
    assert api_sign_in(code=f"{code[:3]}{space}{code[3:]} ").status_code == 200


@pytest.mark.parametrize("code", ["١٢٣٤٥٦", "12345", "1234567", "+12345", "-1", "\0" * 6, "é"])
def test_what_is_no_code_is_wrong(enrolled: User, code: str) -> None:
    client = Client()
    name_password(client)
    assert name_code(client, code).status_code == 200
    assert not is_in(client)


def test_the_page_says_what_is_wrong_and_takes_the_next_code(enrolled: User) -> None:
    client = Client()
    name_password(client)
    response = name_code(client, WRONG)
    assert response.status_code == 200
    assert "This code is not valid, or was used already." in response.text
    TOTPDevice.objects.update(throttling_failure_count=0)
    name_code(client, code_of(enrolled))
    assert is_in(client)


def test_nobody_has_for_ever_for_the_code(enrolled: User) -> None:
    client = Client()
    name_password(client)
    session = client.session
    session["sign_in"] |= {"began": time.time() - second_factor.PATIENCE - 1}
    session.save()
    assert name_code(client, code_of(enrolled)).url == "/sign-in/"
    assert not is_in(client)


@pytest.mark.parametrize("change", ["password", "disabled", "reset"])
def test_what_changes_meanwhile_counts(enrolled: User, change: str) -> None:
    client = Client()
    name_password(client)
    code = code_of(enrolled)
    if change == "password":
        enrolled.set_password("Bergamot-tea-9")
        enrolled.save()
    elif change == "disabled":
        User.objects.update(is_active=False)
    else:
        second_factor.remove(enrolled)
    assert name_code(client, code).url == "/sign-in/"
    assert not is_in(client)


def test_a_session_that_another_knows_of_does_not_get_past_the_password(enrolled: User) -> None:
    """They would have to name the code alone."""
    victim = Client()
    victim.get("/sign-in/")
    victim.session.save()
    known = victim.session.session_key
    victim.cookies["sessionid"] = known
    name_password(victim)
    assert victim.session.session_key != known


# --- Recovery codes ---------------------------------------------------------------------------


def test_a_recovery_code_opens_once(
    recovery_codes: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    assert len(recovery_codes) == 8
    assert all(re.fullmatch(r"([a-z2-7]{4}-){5}[a-z2-7]{4}", code) for code in recovery_codes)
    client = Client()
    name_password(client)
    assert "Recovery code" in client.get("/sign-in/code/?recovery").text
    with caplog.at_level(logging.WARNING):
        name_code(client, recovery_codes[0])
    assert is_in(client)
    assert "recovery code" in caplog.text
    assert recovery_codes[0] not in caplog.text
    assert api_sign_in(code=recovery_codes[0]).status_code == 401
    assert api_sign_in(code=recovery_codes[1].upper().replace("-", " ")).status_code == 200
    assert RecoveryCode.objects.count() == 6


def test_another_s_recovery_code_opens_nothing(analyst: User, outsider: User) -> None:
    codes = enrol(outsider)
    enrol(analyst)
    assert api_sign_in(code=codes[0]).status_code == 401
    assert RecoveryCode.objects.filter(user=outsider).count() == 8


def test_recovery_codes_are_stored_as_hashes(recovery_codes: list[str]) -> None:
    stored = str(list(RecoveryCode.objects.values()))
    assert not any(second_factor.compact(code) in stored.upper() for code in recovery_codes)


# --- Guessing -----------------------------------------------------------------------------------


def test_wrong_codes_are_failures_to_sign_in(enrolled: User, settings: Settings) -> None:
    settings.AXES_FAILURE_LIMIT = 3
    client = Client()
    name_password(client)
    for _ in range(2):
        assert name_code(client, "no-such-code").status_code == 200
    refused = name_code(client, "no-such-code")
    assert (refused.status_code, "Retry-After" in refused.headers) == (429, True)
    assert "Too many failed attempts" in refused.text
    # Not by the right code either, nor with the password, nor over the API.
    assert name_code(client, code_of(enrolled)).status_code == 429
    assert name_password(Client()).status_code == 429
    assert api_sign_in(code=code_of(enrolled)).json()["error"] == "LockedOut"
    assert not is_in(client)


def test_the_right_password_does_not_forget_wrong_codes(enrolled: User) -> None:
    for count in (1, 2, 3):
        client = Client()
        name_password(client)
        name_code(client, "no-such-code")
        assert FailedSignIn.objects.get().failures_since_start == count
    name_code(client, code_of(enrolled))
    assert not FailedSignIn.objects.exists()


def test_who_guesses_from_many_addresses_waits_longer_each_time(enrolled: User) -> None:
    waits = []
    for number in range(4):
        client = Client(REMOTE_ADDR=f"198.51.100.{number}")
        body = {"username": "analyst", "password": "pw", "code": WRONG}
        client.post("/api/v1/auth/login", body, content_type="application/json")
        refused = client.post("/api/v1/auth/login", body, content_type="application/json")
        waits.append(int(refused.headers["Retry-After"]))
        assert (refused.status_code, refused.json()["error"]) == (429, "TooManyCodes")
        assert f"Wait {waits[-1]} s" in refused.json()["message"]
        past = timedelta(seconds=waits[-1] + 1)
        TOTPDevice.objects.update(
            throttling_failure_timestamp=F("throttling_failure_timestamp") - past
        )
    assert waits == [1, 2, 4, 8]


# --- Over the API -----------------------------------------------------------------------------


def test_the_api_asks_for_a_code_too(enrolled: User) -> None:
    refused = api_sign_in()
    assert (refused.status_code, refused.json()["error"]) == (401, "CodeRequired")
    assert "as `code`" in refused.json()["message"]
    wrong = api_sign_in(code=WRONG)
    assert (wrong.status_code, wrong.json()["error"]) == (401, "WrongCode")
    TOTPDevice.objects.update(throttling_failure_count=0)
    answer = api_sign_in(code=code_of(enrolled))
    assert answer.status_code == 200
    assert works(answer.json()["token"])


def test_who_has_none_may_send_anything_as_code(analyst: User) -> None:
    assert api_sign_in(code=WRONG).status_code == 200


def test_a_wrong_password_is_told_before_a_code(enrolled: User) -> None:
    assert api_sign_in(password="wrong").json()["error"] == "Unauthorized"


def test_tokens_of_programs_need_no_code(analyst: User) -> None:
    _, secret = ApiToken.objects.issue(analyst, "Nightly", timedelta(days=1))
    enrol(analyst)
    assert works(secret)


# --- Setting it up and changing it ---------------------------------------------------------------


@pytest.fixture
def client(analyst: User) -> Client:
    client = Client()
    client.force_login(analyst)
    return client


def key_on(page: str) -> str:
    """As people type it: in base32, in groups."""
    return re.search(r'<code class="enrol-text"[^>]*>([A-Z2-7 ]+)</code>', page)[1]


def send(client: Client, what: str, code: str, password: str = "pw", **more: str) -> HttpResponse:
    body = {"factor-code": code, "factor-password": password} | more
    return client.post(f"{PAGE}{what}/", body)


def set_up(client: Client, code: str | None = None, **more: str) -> HttpResponse:
    client.get(PAGE)
    return send(
        client, "enrol", code or code_for(client.session["second_factor_key"]["key"]), **more
    )


def test_the_page_shows_a_key_that_stays_until_it_is_used(client: Client, analyst: User) -> None:
    page = client.get(PAGE)
    assert page.text.count('class="qr-code"') == 1
    assert "style=" not in page.text
    assert "no-store" in page.headers["Cache-Control"]
    assert key_on(page.text) == key_on(client.get(PAGE).text)
    other = Client()
    other.force_login(analyst)
    assert key_on(other.get(PAGE).text) != key_on(page.text)


def test_set_up_answers_with_recovery_codes_this_once(client: Client, analyst: User) -> None:
    response = set_up(client)
    assert response.status_code == 201
    assert "no-store" in response.headers["Cache-Control"]
    codes = re.findall(r"(?:[a-z2-7]{4}-){5}[a-z2-7]{4}", response.text)
    assert len(codes) == RecoveryCode.objects.count() == 8
    assert is_in(client)
    page = client.get(PAGE).text
    assert "8 recovery codes left" in page
    assert not any(code in page for code in codes)
    analyst.refresh_from_db()
    assert api_sign_in(code=code_of(analyst)).status_code == 200
    assert api_sign_in(code=codes[0]).status_code == 200


def test_a_key_that_another_may_know_is_not_used(outsider: User, analyst: User) -> None:
    """The session was theirs before they left the browser to somebody else."""
    client = Client()
    client.force_login(outsider)
    known = key_on(client.get(PAGE).text)
    session = client.session
    left = dict(session)["second_factor_key"]
    client.force_login(analyst)
    session = client.session
    session["second_factor_key"] = left
    session.save()
    assert key_on(client.get(PAGE).text) != known


def test_set_up_needs_a_right_code_and_the_password(client: Client, analyst: User) -> None:
    wrong_code = set_up(client, WRONG)
    assert (wrong_code.status_code, "This code is not valid" in wrong_code.text) == (400, True)
    wrong_password = set_up(client, password="wrong")
    assert wrong_password.status_code == 400
    assert "This is not your current password." in wrong_password.text
    analyst.refresh_from_db()
    assert not analyst.has_second_factor
    assert FailedSignIn.objects.get().failures_since_start == 1


def test_set_up_ends_the_sessions_that_came_without(client: Client, analyst: User) -> None:
    other = Client()
    other.force_login(analyst)
    token = api_sign_in().json()["token"]
    set_up(client)
    assert is_in(client)
    assert not is_in(other)
    assert not works(token)


def test_it_is_set_up_once(client: Client, analyst: User) -> None:
    """Also by two pages at the same time: the second would lock the first one's app out."""
    other = Client()
    other.force_login(analyst)
    other.get(PAGE)
    key = other.session["second_factor_key"]["key"]
    set_up(client)
    with pytest.raises(second_factor.AlreadyEnrolled):
        second_factor.enrol(analyst, key, code_for(key))
    assert TOTPDevice.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_reset_waits_for_one_that_is_being_set_up() -> None:
    """It would leave the new app's key behind."""
    user = User.objects.create_user("analyst", password="pw")
    reset = Thread(target=reset_on_a_connection_of_its_own, args=[user.pk])
    with transaction.atomic():
        enrol(user)
        reset.start()
        reset.join(timeout=0.5)
        assert reset.is_alive()
    reset.join()
    user.refresh_from_db()
    assert not user.has_second_factor
    assert not TOTPDevice.objects.exists()
    assert not RecoveryCode.objects.exists()


def reset_on_a_connection_of_its_own(pk: int) -> None:
    with closing(connection):
        second_factor.remove(User.objects.get(pk=pk))


def test_new_recovery_codes_end_the_old_ones(client: Client, analyst: User) -> None:
    old = re.findall(r"(?:[a-z2-7]{4}-){5}[a-z2-7]{4}", set_up(client).text)
    assert send(client, "codes", WRONG).status_code == 400
    TOTPDevice.objects.update(throttling_failure_count=0)
    assert send(client, "codes", code_of(analyst), password="wrong").status_code == 400
    response = send(client, "codes", code_of(analyst))
    new = re.findall(r"(?:[a-z2-7]{4}-){5}[a-z2-7]{4}", response.text)
    assert len(new) == RecoveryCode.objects.count() == 8
    assert [api_sign_in(code=code).status_code for code in (old[0], new[0])] == [401, 200]


def test_it_can_be_turned_off(client: Client, analyst: User) -> None:
    set_up(client)
    analyst.refresh_from_db()
    token = api_sign_in(code=code_of(analyst)).json()["token"]
    assert send(client, "remove", WRONG).status_code == 400
    TOTPDevice.objects.update(throttling_failure_count=0)
    assert send(client, "remove", code_of(analyst)).url == "/account/"
    assert is_in(client)
    assert not works(token)
    assert not TOTPDevice.objects.exists()
    assert not RecoveryCode.objects.exists()
    assert api_sign_in().status_code == 200


def test_turning_it_off_brings_nothing_back(analyst: User) -> None:
    """What was signed in before it was set up, and has not been used since."""
    before = Client()
    before.force_login(analyst)
    token = api_sign_in().json()["token"]
    enrol(analyst)
    second_factor.remove(analyst)
    assert not is_in(before)
    assert not works(token)


def test_who_edits_a_user_meanwhile_does_not_turn_it_off(client: Client, analyst: User) -> None:
    set_up(client)
    analyst.email = "analyst@example.org"  # read before
    analyst.save()
    analyst.refresh_from_db()
    assert (analyst.has_second_factor, analyst.email) == (True, "analyst@example.org")


def test_the_audit_log_tells_of_it_and_keeps_no_key(client: Client, analyst: User) -> None:
    set_up(client)
    analyst.refresh_from_db()
    send(client, "remove", code_of(analyst))
    entries = AuditEntry.objects.filter(noun="user", object_id=str(analyst.pk), action="changed")
    changed = [set(entry.changes) for entry in entries.order_by("id")]
    assert changed == [{"second_factor_since"}, {"second_factor_since", "sign_ins_ended_at"}]
    assert {entry.actor for entry in entries} == {"analyst"}


# --- Administrators ---------------------------------------------------------------------------


@pytest.fixture
def required(settings: Settings) -> None:
    settings.SECOND_FACTOR_REQUIRED = True


@pytest.fixture
def new_admin(required: None, admin: User) -> Client:
    """Has named the right password, as after an installation."""
    client = Client()
    response = name_password(client, "?next=/admin/", username="admin")
    assert (response.status_code, response.url) == (302, "/sign-in/enrol/")
    return client


def enrol_at_sign_in(client: Client, code: str = "") -> HttpResponse:
    page = client.get("/sign-in/enrol/").text
    key = base64.b32decode(key_on(page).replace(" ", "")).hex()
    return client.post("/sign-in/enrol/", {"code": code or code_for(key)})


def test_an_admin_without_one_is_not_let_in(new_admin: Client) -> None:
    assert "_auth_user_id" not in new_admin.session
    assert new_admin.get("/admin/", follow=True).redirect_chain[-1][0].startswith("/sign-in/")
    assert not is_in(new_admin)
    wrong = enrol_at_sign_in(new_admin, WRONG)
    assert "This code is not valid" in wrong.text
    assert not is_in(new_admin)


def test_an_admin_without_a_second_factor_is_refused_by_the_api(
    required: None, admin: User
) -> None:
    _, secret = ApiToken.objects.issue(admin, "Nightly", timedelta(days=1))
    token = Client(headers={"Authorization": f"Bearer {secret}"})
    for refused in [token.get("/api/v1/me"), api_sign_in(username="admin")]:
        assert (refused.status_code, refused.json()["error"]) == (403, "SecondFactorMissing")
        assert "set up your second factor" in refused.json()["message"]


def test_a_fresh_installation_s_admin_sets_it_up_and_goes_on(
    new_admin: Client, admin: User
) -> None:
    codes = enrol_at_sign_in(new_admin)
    assert 'href="/admin/"' in codes.text
    assert new_admin.get("/admin/").status_code == 200
    assert {"sign_in", "second_factor_key"}.isdisjoint(new_admin.session.keys())
    admin.refresh_from_db()
    client = Client()
    assert name_password(client, "?next=/admin/", username="admin").url == "/sign-in/code/"
    assert client.get("/sign-in/enrol/").url == "/sign-in/"
    assert name_code(client, code_of(admin)).url == "/admin/"
    assert client.get("/admin/").status_code == 200
    assert api_sign_in(username="admin", code=code_of(admin)).status_code == 200


def test_without_a_password_nothing_is_set_up(required: None, admin: User) -> None:
    assert Client().get("/sign-in/enrol/").url == "/sign-in/"
    assert Client().post("/sign-in/enrol/", {"code": WRONG}).url == "/sign-in/"


def test_a_code_is_asked_only_of_those_who_have_one(new_admin: Client) -> None:
    assert new_admin.get("/sign-in/code/").url == "/sign-in/"


def test_it_is_required_of_admins_alone(required: None, analyst: User) -> None:
    client = Client()
    name_password(client)
    assert is_in(client)
    assert api_sign_in().status_code == 200


@pytest.mark.parametrize("how", ["the admin site", "a command"])
def test_who_becomes_an_admin_must_set_it_up(required: None, client: Client, how: str) -> None:
    token = api_sign_in().json()["token"]
    assert is_in(client)
    if how == "a command":
        User.objects.update(role="ADMIN")
    else:
        user = User.objects.get()
        user.role = "ADMIN"
        user.save()
    assert not is_in(client)
    assert not works(token)
    assert name_password(client).url == "/sign-in/enrol/"


def test_an_admin_who_turns_it_off_sets_it_up_anew(new_admin: Client, admin: User) -> None:
    enrol_at_sign_in(new_admin)
    admin.refresh_from_db()
    assert send(new_admin, "remove", code_of(admin)).url == "/sign-in/enrol/"
    assert not is_in(new_admin)
    enrol_at_sign_in(new_admin)
    assert is_in(new_admin)


def test_an_admin_resets_another_s(enrolled: User, admin: User) -> None:
    client, theirs = Client(), Client()
    client.force_login(admin)
    theirs.force_login(enrolled)
    listed = client.get("/admin/accounts/user/?second_factor_since__isempty=0").text
    assert "analyst" in listed
    action = {"action": "reset_second_factor", "_selected_action": [enrolled.pk, admin.pk]}
    response = client.post("/admin/accounts/user/", action, follow=True)
    assert "Reset for: analyst." in response.text
    assert not is_in(theirs)
    assert api_sign_in().status_code == 200
    assert AuditEntry.objects.filter(actor="admin", changes__has_key="second_factor_since").exists()


def test_an_admin_who_sets_another_s_password_leaves_it_on(enrolled: User, admin: User) -> None:
    curator = Client()
    curator.force_login(admin)
    new = {"password1": "Bergamot-tea-9", "password2": "Bergamot-tea-9"}
    new |= {"usable_password": "true", "set-password": "1"}
    path = f"/admin/accounts/user/{enrolled.pk}/password/"
    assert curator.post(path, new).status_code == 302
    client = Client()
    password = {"username": "analyst", "password": "Bergamot-tea-9"}
    assert client.post("/sign-in/", password).url == "/sign-in/code/"
    assert not is_in(client)


def test_the_admin_site_shows_no_keys(enrolled: User, admin: User) -> None:
    client = Client()
    client.force_login(admin)
    key = TOTPDevice.objects.get().key
    for path in ["", "accounts/user/", f"accounts/user/{enrolled.pk}/change/"]:
        page = client.get(f"/admin/{path}").text
        assert key not in page
        assert "otp_totp" not in page
    assert client.get("/admin/otp_totp/totpdevice/").status_code == 404


def test_a_command_resets_the_last_admin_s(admin: User, capsys: pytest.CaptureFixture[str]) -> None:
    enrol(admin)
    call_command("reset_second_factor", "admin")
    admin.refresh_from_db()
    assert not admin.has_second_factor
    assert "is off" in capsys.readouterr().out
    for name, reason in [("admin", "has no second factor"), ("nobody", "There is no user")]:
        with pytest.raises(CommandError, match=reason):
            call_command("reset_second_factor", name)


def test_sessions_made_before_anybody_had_one_go_on(analyst: User) -> None:
    """An upgrade signs nobody out."""
    since, analyst.second_factor_since = timezone.now(), None
    before = super(User, analyst).get_session_auth_hash()
    assert analyst.get_session_auth_hash() == before
    analyst.second_factor_since = since
    assert analyst.get_session_auth_hash() != before
