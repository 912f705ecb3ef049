"""The default assistant: exactly one, and changed in one go."""

import pytest
from django.test import Client
from pytest_django import Settings

from accounts.models import User
from simulations.models import Assistant
from tests.emulator.process import EmulatorProcess

pytestmark = pytest.mark.django_db

LIST = "/admin/simulations/assistant/"
FORM = {"name": "Third", "instructions": "Curated.", "max_output_tokens": "4000"}


@pytest.fixture
def curator(admin: User) -> Client:
    client = Client()
    client.force_login(admin)
    return client


def test_another_assistant_is_made_the_default(curator: Client) -> None:
    first, second = (
        Assistant.objects.get_or_create_default(),
        Assistant.objects.create(name="Second"),
    )
    form = {"action": "make_default", "_selected_action": [str(second.pk)]}
    assert curator.post(LIST, form).status_code == 302
    assert Assistant.objects.get_or_create_default() == second
    assert Assistant.objects.filter(is_default=True).count() == 1
    assert Assistant.objects.filter(pk=first.pk).exists()


def test_two_cannot_be_the_default(curator: Client) -> None:
    both = [Assistant.objects.get_or_create_default(), Assistant.objects.create(name="Second")]
    form = {"action": "make_default", "_selected_action": [str(one.pk) for one in both]}
    assert "Select one assistant." in curator.post(LIST, form, follow=True).content.decode()
    assert Assistant.objects.get_or_create_default() == both[0]


def test_the_default_cannot_be_deleted(curator: Client) -> None:
    default = Assistant.objects.get_or_create_default()
    form = {"action": "delete_selected", "_selected_action": [str(default.pk)], "post": "yes"}
    for path, sent in [(f"{LIST}{default.pk}/delete/", {"post": "yes"}), (LIST, form)]:
        page = curator.post(path, sent).content.decode()
        assert "Sitrep is the default: make another one the default first." in page
    assert Assistant.objects.get() == default
    other = Assistant.objects.create(name="Second")
    Assistant.objects.make_default(other)
    curator.post(LIST, form)
    assert Assistant.objects.get() == other


def test_the_default_stays_active(curator: Client) -> None:
    default, other = (
        Assistant.objects.get_or_create_default(),
        Assistant.objects.create(name="Second"),
    )
    form = {"name": "Sitrep", "instructions": "Curated.", "max_output_tokens": "4000"}
    page = curator.post(f"{LIST}{default.pk}/change/", form).content.decode()
    assert "The default assistant stays active. Make another one the default first." in page
    assert curator.post(f"{LIST}{other.pk}/change/", form | {"name": "Second"}).status_code == 302
    choice = {"action": "make_default", "_selected_action": [str(other.pk)]}
    page = curator.post(LIST, choice, follow=True).content.decode()
    assert "Second is switched off. Make it active first." in page
    assert Assistant.objects.get_or_create_default() == default


def test_curated_instructions_go_on_applying(curator: Client) -> None:
    default = Assistant.objects.get_or_create_default()
    form = FORM | {"name": "Sitrep", "is_active": "on"}
    assert curator.post(f"{LIST}{default.pk}/change/", form).status_code == 302
    assert Assistant.objects.get_or_create_default().instructions == "Curated."


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("max_output_tokens", "0", "Providers ask for 16 or more."),
        ("max_output_tokens", "200000", "No model writes more than 128,000 in one answer."),
        ("temperature", "2.1", "Choose a temperature from 0 to 2."),
        ("temperature", "1", "Models that reason take no temperature"),
        ("reasoning_effort", "utmost", "Select a valid choice."),
        ("tools", "shell", "Select a valid choice."),
        ("name", "Sitrep", "Another assistant has this name: choose another one."),
        ("model", "gpt 5", "Take the spaces out"),
        ("remote_id", "sitrep", "ids start with asst_: copy it whole."),
    ],
)
def test_bad_settings_are_refused_by_name(
    curator: Client, field: str, value: str, problem: str
) -> None:
    Assistant.objects.get_or_create_default()
    other = Assistant.objects.create(name="Second", reasoning_effort="low")
    form = FORM | {"name": "Second", "reasoning_effort": "low", field: value}
    page = curator.post(f"{LIST}{other.pk}/change/", form)
    assert problem in page.content.decode()
    assert list(page.context["adminform"].form.errors) == [field]


@pytest.mark.parametrize(
    ("protocol", "field", "unknown", "known"),
    [
        ("responses", "model", "no-such-model", "gpt-6"),
        ("assistants", "remote_id", "asst_no_such_assistant", "asst_1"),
    ],
)
def test_what_the_provider_does_not_know_is_not_saved(
    curator: Client,
    emulator: EmulatorProcess,
    settings: Settings,
    protocol: str,
    field: str,
    unknown: str,
    known: str,
) -> None:
    settings.OPENAI_PROTOCOL = protocol
    page = curator.post(f"{LIST}add/", FORM | {field: unknown}).content.decode()
    assert "The provider does not know it. It says:" in page
    assert not Assistant.objects.exists()
    assert curator.post(f"{LIST}add/", FORM | {field: known}).status_code == 302
    assert getattr(Assistant.objects.get(), field) == known


def test_a_provider_that_cannot_say_keeps_nobody_from_saving(
    curator: Client, emulator: EmulatorProcess
) -> None:
    emulator.arm("500", "other")
    page = curator.post(f"{LIST}add/", FORM | {"model": "gpt-6"}, follow=True).content.decode()
    assert "The provider could not say whether it knows “gpt-6” (http_500). It is saved." in page
    assert Assistant.objects.filter(model="gpt-6").exists()
