"""Without the sweep of leases that ran out: what a dead worker held, nobody takes again."""

from datetime import timedelta

from django.conf import settings

from config.celery import app
from tests.chaos.sabotage import replace

__all__ = ["app"]

for lease in ("STEP_LEASE", "START_LEASE"):
    replace(settings, lease, timedelta(days=1))
