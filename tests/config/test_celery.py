from datetime import timedelta

import pytest
from celery import Celery
from celery.beat import ScheduleEntry

from config.celery import TickScheduler, app


@pytest.fixture
def scheduler() -> TickScheduler:
    app.control.purge()
    scheduler = TickScheduler(app, lazy=True)
    scheduler.setup_schedule()
    yield scheduler
    app.control.purge()


def test_ticks_do_not_pile_up_while_nobody_takes_them(scheduler: TickScheduler) -> None:
    [tick] = [entry for entry in scheduler.schedule.values() if entry.name == "advance-due"]
    for _ in range(TickScheduler.MAX_WAITING + 10):
        scheduler.apply_entry(tick)
    assert app.control.purge() == TickScheduler.MAX_WAITING
    scheduler.apply_entry(tick)
    assert app.control.purge() == 1


def test_beat_outlives_a_broker_that_is_away() -> None:
    away = Celery("away", broker="redis://127.0.0.1:9/0")
    away.conf.task_publish_retry = False
    scheduler = TickScheduler(away, lazy=True)
    entry = ScheduleEntry(name="tick", task="tick", schedule=timedelta(seconds=1), app=away)
    scheduler.apply_entry(entry)


def test_a_tick_is_worth_nothing_after_five_seconds() -> None:
    entry = ScheduleEntry(name="advance-due", app=app, **app.conf.beat_schedule["advance-due"])
    assert entry.options == {"expires": 5}
    assert entry.schedule.run_every.total_seconds() == 0.5
