"""The default assistant: exactly one, and changed in one go."""

import pytest
from django.test import Client

from accounts.models import User
from simulations.models import Assistant

pytestmark = pytest.mark.django_db

LIST = "/admin/simulations/assistant/"


@pytest.fixture
def curator(admin: User) -> Client:
    client = Client()
    client.force_login(admin)
    return client


def test_another_assistant_is_made_the_default(curator: Client) -> None:
    first, second = Assistant.objects.current(), Assistant.objects.create(name="Second")
    form = {"action": "make_default", "_selected_action": [str(second.pk)]}
    assert curator.post(LIST, form).status_code == 302
    assert Assistant.objects.current() == second
    assert Assistant.objects.filter(is_default=True).count() == 1
    assert Assistant.objects.filter(pk=first.pk).exists()


def test_two_cannot_be_the_default(curator: Client) -> None:
    both = [Assistant.objects.current(), Assistant.objects.create(name="Second")]
    form = {"action": "make_default", "_selected_action": [str(one.pk) for one in both]}
    assert "Select one assistant." in curator.post(LIST, form, follow=True).content.decode()
    assert Assistant.objects.current() == both[0]


def test_the_default_cannot_be_deleted(curator: Client) -> None:
    default = Assistant.objects.current()
    assert curator.post(f"{LIST}{default.pk}/delete/", {"post": "yes"}).status_code == 403
    form = {"action": "delete_selected", "_selected_action": [str(default.pk)], "post": "yes"}
    curator.post(LIST, form)
    assert Assistant.objects.current() == default


def test_curated_instructions_go_on_applying(curator: Client) -> None:
    default = Assistant.objects.current()
    form = {"name": "Sitrep", "instructions": "Curated.", "max_output_tokens": "4000"}
    assert curator.post(f"{LIST}{default.pk}/change/", form).status_code == 302
    assert Assistant.objects.current().instructions == "Curated."
    form["max_output_tokens"] = "0"
    page = curator.post(f"{LIST}{default.pk}/change/", form)
    assert "Providers ask for 16 or more." in page.content.decode()
