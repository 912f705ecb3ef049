"""The queue: who goes next, and that the caps hold however many admit at once."""

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.db import connection, connections
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from accounts.models import User
from simulations import services
from simulations.engine import Engine
from simulations.models import Simulation, Status
from simulations.prepared import PreparedUpdate
from simulations.queue import admission
from simulations.queue.admission import admit
from tests import services as test_services
from tests.conftest import ApiClient, Drive
from tests.emulator.process import EmulatorProcess
from tests.simulations.test_engine import start

pytestmark = pytest.mark.django_db
on_postgresql = pytest.mark.skipif(
    not test_services.ON_POSTGRESQL, reason="SQLite has one writer at a time"
)


@pytest.fixture(autouse=True)
def caps(settings: Settings) -> Settings:
    settings.MAX_RUNS_IN_FLIGHT, settings.MAX_RUNS_PER_USER = 3, 2
    return settings


def ask(*owners: User) -> list[Simulation]:
    return [services.submit(owner, f"Question {n}?") for n, owner in enumerate(owners)]


def admitted(simulations: list[Simulation]) -> list[int]:
    """Which of them, by number, have their place."""
    in_flight = set(Simulation.objects.in_flight().values_list("pk", flat=True))
    return [n for n, simulation in enumerate(simulations) if simulation.pk in in_flight]


def finish(simulation: Simulation) -> None:
    assert Simulation.objects.filter(pk=simulation.pk).transition(Status.COMPLETED)


# --- Caps and order ---------------------------------------------------------------------------


def test_no_more_go_at_once_than_there_are_places(
    analyst: User, outsider: User, admin: User
) -> None:
    simulations = ask(analyst, outsider, admin, analyst, outsider, admin)
    assert admit() == 3
    assert admitted(simulations) == [0, 1, 2]
    assert admit() == 0


def test_nobody_takes_more_places_than_one_user_may_have(analyst: User) -> None:
    simulations = ask(analyst, analyst, analyst)
    assert (admit(), admit()) == (2, 0)
    assert admitted(simulations) == [0, 1]


def test_a_user_at_the_limit_does_not_hold_up_the_others(analyst: User, outsider: User) -> None:
    simulations = ask(analyst, analyst, analyst, analyst, outsider)
    admit()
    assert admitted(simulations) == [0, 1, 4]


def test_places_in_flight_count_as_well(analyst: User, outsider: User) -> None:
    simulations = ask(analyst)
    admit()
    simulations += ask(analyst, analyst, outsider, outsider)
    admit()
    assert admitted(simulations) == [0, 1, 3]


def test_first_come_first_served(analyst: User, outsider: User, admin: User) -> None:
    simulations = ask(analyst, outsider, admin, analyst, outsider)
    for number, simulation in enumerate(reversed(simulations)):
        moment = timezone.now() - timedelta(hours=1) + timedelta(seconds=number)
        Simulation.objects.filter(pk=simulation.pk).update(created_at=moment)
    admit()
    assert admitted(simulations) == [2, 3, 4]


def test_a_place_that_becomes_free_goes_to_the_next(
    analyst: User, outsider: User, admin: User
) -> None:
    simulations = ask(analyst, outsider, admin, analyst, outsider)
    admit()
    finish(simulations[1])
    assert admit() == 1
    assert admitted(simulations) == [0, 2, 3]


def test_a_place_is_taken_before_the_first_call_and_held_until_the_end(
    emulator: EmulatorProcess, engine: Engine, drive: Drive, analyst: User, caps: Settings
) -> None:
    caps.MAX_RUNS_IN_FLIGHT = 1
    emulator.control(latency=600)
    first, second = ask(analyst, analyst)
    start(engine, first)
    for _ in range(3):
        engine.run_slice(0.05)
    second.refresh_from_db()
    assert second.is_queued
    emulator.release()
    emulator.control(latency=0.05)
    drive(first)
    assert drive(second).status == Status.COMPLETED


def test_who_is_over_or_was_never_there_leaves_no_trace(analyst: User) -> None:
    queued, in_flight = ask(analyst, analyst)
    services.cancel(queued)
    assert admit() == 1
    services.cancel(in_flight)
    assert admit() == 0
    assert admitted([queued, in_flight]) == []


# --- Follow-ups -------------------------------------------------------------------------------


def test_a_follow_up_waits_for_its_conversation_without_taking_a_place(analyst: User) -> None:
    first, other = ask(analyst, analyst)
    following = services.follow_up(analyst, first, "And then?")
    finish(other)
    admit()
    later = services.submit(analyst, "Another question?")
    assert admit() == 1
    assert admitted([first, following, later]) == [0, 2]
    finish(first)
    assert admit() == 1
    assert admitted([following, later]) == [0, 1]


def test_follow_ups_of_one_conversation_go_one_by_one(analyst: User) -> None:
    [first] = ask(analyst)
    admit()
    following = [services.follow_up(analyst, first, f"And {n}?") for n in range(3)]
    finish(first)
    for number in range(3):
        assert admit() == 1
        assert admitted(following) == [number]
        assert admit() == 0
        finish(following[number])


def test_a_follow_up_of_a_queued_question_goes_after_it(analyst: User) -> None:
    [first] = ask(analyst)
    following = services.follow_up(analyst, first, "And then?")
    admit()
    assert admitted([first, following]) == [0]


# --- Its place, as the API shows it -----------------------------------------------------------


def shown(user: User, simulation: Simulation) -> dict[str, object]:
    return ApiClient(user).get(f"/api/v1/simulations/{simulation.pk}").json()


def test_the_place_in_the_queue_is_shown_while_it_waits(analyst: User, outsider: User) -> None:
    simulations = ask(analyst, analyst, analyst, outsider, outsider)
    places = [shown(simulation.owner, simulation)["queue_position"] for simulation in simulations]
    assert places == [1, 2, 3, 4, 5]
    admit()
    places = [shown(simulation.owner, simulation)["queue_position"] for simulation in simulations]
    assert places == [None, None, 1, None, 2]
    finish(simulations[0])
    assert shown(analyst, simulations[0])["queue_position"] is None


def test_the_answer_to_a_submission_shows_it_too(analyst: User) -> None:
    ask(analyst, analyst)
    answer = ApiClient(analyst).post_json("simulations", {"query": "A question?"})
    assert answer.json()["queue_position"] == 3


def test_ties_have_an_order(analyst: User, outsider: User) -> None:
    simulations = ask(analyst, analyst, outsider, outsider)
    Simulation.objects.update(created_at=timezone.now())
    places = {str(it.pk): shown(it.owner, it)["queue_position"] for it in simulations}
    assert sorted(places, key=places.get) == sorted(places)
    assert sorted(places.values()) == [1, 2, 3, 4]
    admit()
    left = Simulation.objects.queued().get()
    assert shown(left.owner, left)["queue_position"] == 1


def test_the_place_costs_no_query_of_its_own(
    analyst: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    [simulation] = ask(analyst)
    client = ApiClient(analyst)
    path = f"/api/v1/simulations/{simulation.pk}"
    client.get(path)
    with django_assert_num_queries(2):  # the token and its user, the row with its citations
        assert client.get(path).json()["queue_position"] == 1


# --- Several workers at once ------------------------------------------------------------------


@pytest.fixture
def slow_admission(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], threading.Thread]]:
    """Starts an admission that has read the queue and takes a while to write."""
    threads = []
    pause = "SELECT queue.id FROM (SELECT pg_sleep(0.6)) AS pause, queue"

    def admit_slowly() -> threading.Thread:
        with monkeypatch.context() as patch:
            slow = admission.NEXT_IN_LINE.replace("SELECT queue.id FROM queue", pause)
            assert slow != admission.NEXT_IN_LINE
            patch.setattr(admission, "NEXT_IN_LINE", slow)
            patch.setattr(admission, "admit_next", PreparedUpdate(admission.admit_next.describe))
            patch.setattr(admission, "admit_next", PreparedUpdate(admission.admit_next.describe))
            is_reading = threading.Event()
            threads.append(threading.Thread(target=admit_in_thread, args=(is_reading,)))
            threads[-1].start()
            assert is_reading.wait(5)
            wait_for_sleeper()
        return threads[-1]

    yield admit_slowly
    for thread in threads:
        thread.join(5)


def admit_in_thread(is_reading: threading.Event) -> None:
    try:
        is_reading.set()
        admit()
    finally:
        connections.close_all()


def wait_for_sleeper() -> None:
    """Until a session of this database is in its pause."""
    sleeping = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND pid <> pg_backend_pid() AND wait_event = 'PgSleep'"
    )
    for _ in range(500):
        with connection.cursor() as cursor:
            cursor.execute(sleeping)
            if cursor.fetchone()[0]:
                return
    pytest.fail("Nobody sleeps")


@on_postgresql
@pytest.mark.django_db(transaction=True)
def test_the_cap_for_all_holds_while_two_admit_at_once(
    slow_admission: Callable[[], threading.Thread], analyst: User, outsider: User, caps: Settings
) -> None:
    """The second sees a question that the first one's snapshot does not have, and is older."""
    caps.MAX_RUNS_IN_FLIGHT = 1
    simulations = ask(analyst)
    first = slow_admission()
    simulations += ask(outsider)
    Simulation.objects.filter(owner=outsider).update(created_at=timezone.now() - timedelta(hours=1))
    assert admit() == 0
    first.join()
    assert admitted(simulations) == [0]


@on_postgresql
@pytest.mark.django_db(transaction=True)
def test_the_cap_for_a_user_holds_while_two_admit_at_once(
    slow_admission: Callable[[], threading.Thread], analyst: User, caps: Settings
) -> None:
    caps.MAX_RUNS_PER_USER = 1
    simulations = ask(analyst)
    first = slow_admission()
    simulations += ask(analyst)
    Simulation.objects.filter(pk=simulations[1].pk).update(
        created_at=timezone.now() - timedelta(hours=1)
    )
    admit()
    first.join()
    assert admitted(simulations) == [0]


@on_postgresql
@pytest.mark.django_db(transaction=True)
def test_a_question_cancelled_while_it_is_admitted_stays_cancelled(
    slow_admission: Callable[[], threading.Thread], analyst: User, outsider: User
) -> None:
    simulations = ask(analyst, outsider)
    first = slow_admission()
    services.cancel(simulations[0])
    first.join()
    assert admitted(simulations) == [1]
    simulations[0].refresh_from_db()
    assert simulations[0].status == Status.CANCELLED
