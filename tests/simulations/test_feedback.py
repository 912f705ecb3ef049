"""What people say of answers: who may, where it is kept, and where curators read it."""

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import User
from knowledge.models import Article
from simulations import services
from simulations.models import Feedback, Simulation, Status
from tests.conftest import ApiClient

pytestmark = pytest.mark.django_db


@pytest.fixture
def answered(analyst: User) -> Simulation:
    simulation = services.submit(analyst, "Who checks the gate?")
    Simulation.objects.filter(pk=simulation.pk).transition(Status.COMPLETED, answer="The guard.")
    simulation.refresh_from_db()
    return simulation


@pytest.fixture
def page(analyst: User) -> Client:
    return sign_in(analyst)


def sign_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def url(simulation: Simulation, name: str = "feedback") -> str:
    return reverse(f"simulations:{name}", args=[simulation.pk])


def text_of(response: object) -> str:
    return response.content.decode()


def test_the_latest_word_counts(page: Client, answered: Simulation, admin: User) -> None:
    assert "Was this answer useful?" in text_of(page.get(url(answered, "detail")))
    response = page.post(url(answered), {"is_useful": "yes"})
    assert response.headers["Location"] == f"{url(answered, 'detail')}#feedback"
    page.post(url(answered), {"is_useful": "no", "reason": "No\r\nphone <numbers>."})
    said = Feedback.objects.get()
    assert (said.simulation, said.is_useful) == (answered, False)
    assert said.reason == "No\nphone <numbers>."
    shown = text_of(page.get(url(answered, "detail")))
    assert "You found this answer not useful" in shown
    assert "No\nphone &lt;numbers&gt;.</textarea>" in shown
    others = text_of(sign_in(admin).get(url(answered, "detail")))
    assert "analyst found this answer not useful" in others
    assert url(answered) not in others


def test_a_reason_has_a_limit_and_is_kept(page: Client, answered: Simulation) -> None:
    reason = "\r\n".join("x" * 499 for _ in range(2)) + "z"  # 1,000 as people count
    page.post(url(answered), {"is_useful": "yes", "reason": reason})
    assert len(Feedback.objects.get().reason) == 1000
    refused = page.post(url(answered), {"is_useful": "no", "reason": f"{reason}!"})
    assert refused.status_code == 400
    assert "Shorten it to 1,000 characters." in text_of(refused)
    assert f"{'x' * 499}z!" in text_of(refused)
    assert page.post(url(answered), {"reason": "Why?"}).status_code == 400
    assert Feedback.objects.get().is_useful


def test_only_the_owner_judges_and_only_an_answer(
    page: Client, answered: Simulation, analyst: User, outsider: User, admin: User
) -> None:
    for user in (outsider, admin):
        assert sign_in(user).post(url(answered), {"is_useful": "no"}).status_code == 404
    waiting = services.submit(analyst, "And at night?")
    refused = page.post(url(waiting), {"is_useful": "no"}, follow=True)
    assert "There is no answer to judge." in text_of(refused)
    assert 'id="feedback"' not in text_of(page.get(url(waiting, "detail")))
    assert not Feedback.objects.exists()


def test_over_the_api(
    answered: Simulation,
    analyst: User,
    outsider: User,
    admin: User,
    api: type[ApiClient],
) -> None:
    path = f"simulations/{answered.pk}/feedback"
    client = api(analyst)
    said = client.post_json(path, {"is_useful": False, "reason": "Too long."})
    assert said.status_code == 200
    assert said.json()["reason"] == "Too long."
    assert said.json()["given_at"]
    changed = client.post_json(path, {"is_useful": True})
    assert (changed.json()["is_useful"], changed.json()["reason"]) == (True, "")
    assert Feedback.objects.get().is_useful
    too_long = client.post_json(path, {"is_useful": True, "reason": "x" * 1001})
    assert (too_long.status_code, list(too_long.json()["details"])) == (400, ["reason"])
    assert client.post_json(path, {"useful": True}).status_code == 400
    assert api(outsider).post_json(path, {"is_useful": True}).status_code == 404
    refused = api(admin).post_json(path, {"is_useful": True})
    assert (refused.status_code, refused.json()["error"]) == (403, "Forbidden")
    waiting = services.submit(analyst, "And at night?")
    early = client.post_json(f"simulations/{waiting.pk}/feedback", {"is_useful": True})
    assert early.status_code == 409


def test_curators_read_it_beside_the_article_and_in_the_health_page(
    answered: Simulation, analyst: User, admin: User, articles: dict[str, Article]
) -> None:
    sent, other = articles["alpha-001"], articles["beta-001"]
    answered.citations.create(position=1, article=sent, slug=sent.slug, title="A", text="T")
    services.give_feedback(analyst, answered, is_useful=False, reason="No phone numbers.")
    client = sign_in(admin)
    pages = {
        article: text_of(client.get(reverse("admin:knowledge_article_change", args=[article.pk])))
        for article in (sent, other)
    }
    assert "Not useful: No phone numbers." in pages[sent]
    assert "0 found the answer useful, 1 did not" in pages[sent]
    assert "Who checks the gate?" in pages[sent]
    assert "No phone numbers." not in pages[other]
    health = text_of(client.get("/admin/curation/"))
    assert "Not useful: No phone numbers." in health
    services.give_feedback(analyst, answered, is_useful=True)
    assert "Nobody found an answer not useful." in text_of(client.get("/admin/curation/"))
