"""The leases during the soak: short, so that a dead worker's rows are soon due.

As in production each is longer than the calls that it covers: creates end after 10 s and may be
held up for 3 s behind the money gate.
"""

from datetime import timedelta

STEP_LEASE = timedelta(seconds=12)
START_LEASE = timedelta(seconds=15)
LOOK_DELAY = timedelta(seconds=1)
