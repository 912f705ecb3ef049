"""The product's settings on a test's database; TEST_DATABASE chooses sqlite or postgresql."""

import os
import tempfile

from tests import services

os.environ.update(services.environment())

from config.settings import *  # noqa: F403

# The real hasher is made to be slow.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES["staticfiles"] = {  # noqa: F405
    "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
}
CURATION_MAX_AGE = timedelta(0)  # noqa: F405 - a test sees at once what it has written
WHITENOISE_AUTOREFRESH = True  # nothing is collected
if not services.ON_POSTGRESQL:
    # A file, so that several processes can share it as they do in production.
    DATABASES["default"]["TEST"] = {  # noqa: F405
        "NAME": os.path.join(tempfile.mkdtemp(prefix="sitrep-tests-"), "test.sqlite3")
    }
