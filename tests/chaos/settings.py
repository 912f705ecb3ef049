"""The product's settings for the soak."""

from config.settings import *  # noqa: F403
from tests.chaos.leases import LOOK_DELAY, START_LEASE, STEP_LEASE  # noqa: F401

# The real hasher is made to be slow.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES["staticfiles"] = {  # noqa: F405 - nothing is collected
    "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
}
