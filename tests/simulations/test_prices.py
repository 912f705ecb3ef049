"""Prices: entered in the admin, one a day for each model, audited."""

from datetime import date
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from pytest_django import Settings

from accounts.audit import AuditEntry
from accounts.models import User
from simulations.models import Price

pytestmark = pytest.mark.django_db

ADD = "/admin/simulations/price/add/"
FORM = {
    "model": "gpt-5.1",
    "valid_from": "2026-10-01",
    "input_price": "1.25",
    "output_price": "0.000001",
}


@pytest.fixture
def curator(admin: User) -> Client:
    client = Client()
    client.force_login(admin)
    return client


def test_a_price_is_entered_and_audited(curator: Client) -> None:
    assert curator.post(ADD, FORM).status_code == 302
    price = Price.objects.get()
    assert (price.valid_from, price.input_price) == (date(2026, 10, 1), Decimal("1.25"))
    entry = AuditEntry.objects.latest("pk")
    assert str(entry) == "admin created price gpt-5.1 from 2026-10-01"
    assert entry.changes["output_price"] == [None, "0.000001"]


def test_none_is_there_before_somebody_enters_it() -> None:
    assert not Price.objects.exists()


def test_the_form_says_the_currency_and_takes_a_model(curator: Client, settings: Settings) -> None:
    settings.USAGE_CURRENCY = "EUR"
    page = curator.get(ADD, {"model": "gpt-6"}).content.decode()
    assert page.count("In EUR.") == 2
    assert 'value="gpt-6"' in page


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"input_price": "-0.01"}, "Give 0 or more."),
        ({"output_price": "1.1234567"}, "no more than 6 decimal places"),
        ({"valid_from": ""}, "This field is required."),
        ({"model": "gpt 5"}, "Take the spaces out"),
        ({}, "This model has a price from that day already"),
    ],
)
def test_what_is_wrong_is_said(curator: Client, wrong: dict[str, str], message: str) -> None:
    assert curator.post(ADD, FORM).status_code == 302
    response = curator.post(ADD, FORM | wrong)
    assert response.status_code == 200
    assert message in response.content.decode()
    assert Price.objects.count() == 1


@pytest.mark.parametrize("wrong", [{"input_price": -1}, {"output_price": -1}, {}])
def test_the_database_refuses_it_too(wrong: dict[str, int]) -> None:
    values = {"model": "m", "valid_from": date(2026, 10, 1), "input_price": 1, "output_price": 1}
    Price.objects.create(**values | {"valid_from": date(2026, 10, 2)} if wrong else values)
    with pytest.raises(IntegrityError), transaction.atomic():
        Price.objects.create(**values | wrong)


def test_prices_of_many_digits_stay_exact() -> None:
    exact = Decimal("123456.789012")
    Price.objects.create(
        model="m", valid_from=date(2026, 10, 1), input_price=exact, output_price=exact
    )
    price = Price.objects.get()
    assert price.input_price == exact
    assert price.of(3, 1_000_000) == exact + 3 * exact / 1_000_000
