"""The suite's settings with short leases: what a killed worker held is soon free again."""

from datetime import timedelta

from tests.settings import *  # noqa: F403

STEP_LEASE = POLL_LEASE = START_LEASE = LOOK_DELAY = timedelta(seconds=0.3)
