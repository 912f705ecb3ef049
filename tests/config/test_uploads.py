"""What is too large is refused before it is read."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from pytest_django import Settings

from accounts.models import User

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("path", ["/sign-in/", "/webhooks/openai/", "/nothing"])
def test_nobody_sends_large_files(path: str) -> None:
    file = SimpleUploadedFile("large.bin", b"x" * 1_500_001)
    response = Client().post(path, {"file": file})
    assert response.status_code == 413
    assert b"too large. Send less than 1.5 MB." in response.content


def test_the_api_says_so_in_json() -> None:
    response = Client().post(
        "/api/v1/auth/login", b"x" * 1_500_001, content_type="application/json"
    )
    assert (response.status_code, response.json()["error"]) == (413, "PayloadTooLarge")


def test_the_admin_takes_the_largest_import_and_no_more(settings: Settings, admin: User) -> None:
    client = Client()
    client.force_login(admin)
    path = "/admin/knowledge/article/import/"
    settings.LARGEST_UPLOAD = 2_000_000
    body = {"import_file": SimpleUploadedFile("articles.csv", b"x" * 1_600_000)}
    assert client.post(path, body).status_code != 413
    body = {"import_file": SimpleUploadedFile("articles.csv", b"x" * 2_000_000)}
    refused = client.post(path, body)
    assert refused.status_code == 413
    assert b"too large. Send less than 2 MB." in refused.content
