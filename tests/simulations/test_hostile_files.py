"""Hostile texts in what is downloaded and in what is shown word for word."""

import json

import pytest
from django.test import Client

from accounts.models import User
from knowledge.models import Article
from simulations.models import Simulation
from tests.hostile.payloads import ALL_IN_ONE
from tests.simulations.test_rules_pages import answered

pytestmark = pytest.mark.django_db

ESC, BELL, OVERRIDE = "\x1b", "\x07", "\u202e"
RAW = f"{ALL_IN_ONE}\n\n{ESC}[31mred{ESC}[0m {OVERRIDE}desrever{BELL}"


@pytest.fixture
def simulation(analyst: User) -> Simulation:
    [simulation] = answered(analyst, raw=RAW)
    Simulation.objects.filter(pk=simulation.pk).update(query=f"{OVERRIDE}<b>{ESC}[2J", prompt=RAW)
    return simulation


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_files_are_data_whatever_they_hold(
    admin: User, analyst: User, simulation: Simulation
) -> None:
    Article.objects.create(slug="hostile-001", title="T", category="C", text=RAW)
    reader, curator, page = signed_in(analyst), signed_in(admin), f"/simulations/{simulation.pk}"
    export = "/admin/knowledge/article/export/"
    files = {
        "application/json": [
            reader.get(f"{page}/manifest.json"),
            curator.post(export, {"format": "1", "resource": "0"}),
        ],
        "text/csv": [curator.post(export, {"format": "0", "resource": "0"})],
        "text/markdown; charset=utf-8": [reader.get(f"{page}/answer.md")],
    }
    for content_type, responses in files.items():
        for response in responses:
            assert response.status_code == 200
            assert response.headers["Content-Type"] == content_type
            assert response.headers["Content-Disposition"].startswith("attachment")
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    manifest = json.loads(files["application/json"][0].content)
    assert manifest["answer"]["raw"] == RAW


def test_a_file_for_people_has_nothing_that_acts(analyst: User, simulation: Simulation) -> None:
    content = signed_in(analyst).get(f"/simulations/{simulation.pk}/answer.md").content.decode()
    assert "<script>hit()</script>" in content
    assert "red desrever" in content
    assert not {ESC, BELL, OVERRIDE, "\x00", "\x9b"} & set(content)


def test_what_is_shown_word_for_word_shows_what_deceives(
    admin: User, simulation: Simulation
) -> None:
    client = signed_in(admin)
    for path in (
        f"/simulations/{simulation.pk}/manifest/",
        f"/admin/simulations/simulation/{simulation.pk}/change/",
    ):
        page = client.get(path).content.decode()
        assert f"{ALL_IN_ONE[:8]}" not in page
        shown = page.replace(" ", "")
        assert "⟨U+001B⟩[31mred⟨U+001B⟩[0m⟨U+202E⟩desrever⟨U+0007⟩" in shown
    heading = client.get(f"/simulations/{simulation.pk}/").content.decode()
    assert "<h1>⟨U+202E⟩&lt;b&gt;⟨U+001B⟩[2J</h1>" in heading
