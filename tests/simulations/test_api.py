"""The API of simulations and of one's own account."""

import pytest
from pytest_django import Settings

from accounts.models import Module, User
from simulations import services
from simulations.models import Simulation, Status
from tests.conftest import ApiClient

pytestmark = pytest.mark.django_db


def test_submitting_answers_202_with_location_and_retry_after(analyst: User) -> None:
    client = ApiClient(analyst)
    response = client.post_json("simulations", {"query": "Who checks the gate?"})
    simulation = Simulation.objects.get()
    assert response.status_code == 202
    assert response.json()["status"] == "PENDING"
    assert response.headers["Location"].endswith(f"/api/v1/simulations/{simulation.pk}")
    assert response.headers["Retry-After"] == "1"
    assert client.get(response.headers["Location"]).json()["id"] == str(simulation.pk)


def test_a_finished_simulation_shows_answer_citations_and_tokens(analyst: User) -> None:
    simulation = services.submit(analyst, "Who checks the gate?")
    simulation.citations.create(
        position=1, slug="alpha-001", title="Alpha", category="C", text="T", keywords=["gate"]
    )
    Simulation.objects.filter(pk=simulation.pk).transition(
        Status.COMPLETED, answer="The guard.", tokens_used=12
    )
    response = ApiClient(analyst).get(f"/api/v1/simulations/{simulation.pk}")
    body = response.json()
    assert (body["status"], body["answer"], body["tokens_used"]) == ("COMPLETED", "The guard.", 12)
    assert body["citations"] == [
        {
            "position": 1,
            "slug": "alpha-001",
            "title": "Alpha",
            "category": "C",
            "found_by": "keyword",
            "keywords": ["gate"],
            "truncated": False,
        }
    ]
    assert body["error"] is None
    assert "Retry-After" not in response.headers
    assert "raw_answer" not in body
    assert "prompt" not in body


def test_a_failed_simulation_carries_code_message_and_status(analyst: User) -> None:
    simulation = services.submit(analyst, "Who checks the gate?")
    Simulation.objects.filter(pk=simulation.pk).transition(
        Status.FAILED, error_code="run_timeout", error_message="Too late.", error_status=504
    )
    body = ApiClient(analyst).get(f"/api/v1/simulations/{simulation.pk}").json()
    assert body["error"] == {"code": "run_timeout", "message": "Too late.", "status": 504}


def test_others_see_nothing_and_an_admin_sees_all(
    analyst: User, outsider: User, admin: User
) -> None:
    simulation = services.submit(analyst, "Who checks the gate?")
    path = f"/api/v1/simulations/{simulation.pk}"
    hidden = ApiClient(outsider).get(path)
    assert (hidden.status_code, hidden.json()["error"]) == (404, "NotFound")
    assert ApiClient(outsider).get("/api/v1/simulations").json()["results"] == []
    assert ApiClient(admin).get(path).status_code == 200
    assert len(ApiClient(admin).get("/api/v1/simulations").json()["results"]) == 1


def test_the_list_pages_newest_first(analyst: User) -> None:
    made = [str(services.submit(analyst, f"Question {n}?").pk) for n in range(30)]
    client = ApiClient(analyst)
    first = client.get("/api/v1/simulations").json()
    second = client.get(first["next"]).json()
    seen = [row["id"] for row in first["results"] + second["results"]]
    assert seen == made[::-1]
    assert second["next"] is None


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "query"),
        ({"query": ""}, "query"),
        ({"query": "   "}, "query"),
        ({"query": None}, "query"),
        ({"query": ["x"]}, "query"),
        ({"query": 5}, "query"),
        ({"query": "a\0b"}, "query"),
        ({"query": "a\ud800b"}, "query"),
        ({"query": "fine", "owner": 1}, "owner"),
        ([], "non_field_errors"),
    ],
)
def test_a_wrong_body_is_refused_by_field(analyst: User, body: object, field: str) -> None:
    response = ApiClient(analyst).post_json("simulations", body)
    assert response.status_code == 400
    assert response.json()["error"] == "ValidationError"
    assert field in response.json()["details"]
    assert not Simulation.objects.exists()


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        ("{", "application/json", 400),
        ("[" * 200_000, "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        ("query=x", "application/x-www-form-urlencoded", 415),
        ("[", "application/json; charset=nonsense", 400),
    ],
)
def test_what_is_not_json_is_refused_in_the_one_shape(
    analyst: User, content: str | bytes, content_type: str, status: int
) -> None:
    response = ApiClient(analyst).generic("POST", "/api/v1/simulations", content, content_type)
    assert response.status_code == status
    assert set(response.json()) >= {"error", "message", "statusCode", "requestId"}


def test_too_long_a_query_is_413_and_a_long_one_says_it_was_cut(analyst: User) -> None:
    client = ApiClient(analyst)
    assert client.post_json("simulations", {"query": "x" * 12_001}).json()["query_truncated"]
    response = client.post_json("simulations", {"query": "x" * 100_001})
    assert (response.status_code, response.json()["error"]) == (413, "QueryTooLong")
    response = client.post_json("simulations", {"query": "x" * 2_000_000})
    assert (response.status_code, response.json()["error"]) == (413, "PayloadTooLarge")


@pytest.mark.parametrize("cursor", ["nonsense", "cD1ub3RhZGF0ZQ==", "cD0yMDI2LTAxLTAx"])
def test_a_bad_cursor_is_404(analyst: User, cursor: str) -> None:
    response = ApiClient(analyst).get("/api/v1/simulations", {"cursor": cursor})
    assert (response.status_code, response.json()["error"]) == (404, "NotFound")


def test_the_limit_is_429_with_the_reset_date(analyst: User) -> None:
    User.objects.filter(pk=analyst.pk).update(monthly_simulation_limit=0)
    response = ApiClient(analyst).post_json("simulations", {"query": "One more?"})
    body = response.json()
    assert (response.status_code, body["error"]) == (429, "MonthlyLimitReached")
    assert body["message"].startswith("Monthly simulation limit reached")
    assert body["details"]["resets_at"]
    assert int(response.headers["Retry-After"]) > 0


def test_without_a_key_it_is_503(analyst: User, settings: Settings) -> None:
    settings.OPENAI_CONFIGURED = False
    response = ApiClient(analyst).post_json("simulations", {"query": "Anyone?"})
    assert (response.status_code, response.json()["error"]) == (503, "OpenAINotConfigured")
    assert not Simulation.objects.exists()


@pytest.mark.parametrize("action", ["cancel", "retry"])
def test_what_takes_no_fields_refuses_them_by_name(analyst: User, action: str) -> None:
    simulation = services.submit(analyst, "Who checks the gate?")
    path = f"simulations/{simulation.pk}/{action}"
    for body, field in [({"force": True}, "force"), (["force"], "body")]:
        response = ApiClient(analyst).post_json(path, body)
        assert (response.status_code, list(response.json()["details"])) == (400, [field])
    assert Simulation.objects.get().status == Status.PENDING


def test_me_shows_role_modules_and_quota(analyst: User) -> None:
    services.submit(analyst, "Who checks the gate?")
    body = ApiClient(analyst).get("/api/v1/me").json()
    assert body["role"] == "ANALYST"
    assert body["modules"] == Module.values
    assert (body["quota"]["used"], body["quota"]["limit"]) == (1, 50)
    assert body["quota"]["resets_at"].endswith("-01T00:00:00Z")
