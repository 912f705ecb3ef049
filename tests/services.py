"""Which services the tests use, and whether they answer."""

import os
import shutil
import socket
from pathlib import Path
from urllib.parse import urlsplit

DATABASE_URL = os.environ.get("TEST_DATABASE_URL") or (
    "postgresql://postgres@127.0.0.1:5432/postgres"
)
BROKER_URL = os.environ.get("TEST_BROKER_URL") or "redis://127.0.0.1:6379"

# Each test makes its users anew, with the same keys: they would count together.
NO_THROTTLES = dict.fromkeys(
    [f"THROTTLE_{of}" for of in ("USER", "TOKEN", "ADDRESS", "SUBMISSIONS", "REPLAYS")], "0"
)

ON_POSTGRESQL = os.environ.get("TEST_DATABASE") == "postgresql"
# Lanes side by side must not collect them under each other's feet.
HAS_ASSETS = os.environ.get("TEST_ASSETS") == "collected"
IN_CI = os.environ.get("CI") == "true"

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def environment() -> dict[str, str]:
    """The product's environment during the tests; nothing of the user's own is in it."""
    example = Path(__file__).resolve().parent.parent / ".env.example"
    lines = example.read_text(encoding="utf-8").splitlines()
    names = [line.lstrip("# ").split("=")[0] for line in lines if "=" in line]
    return dict.fromkeys((name for name in names if name.isupper()), "") | {
        "APP_ENV": "test",
        "DATABASE_URL": DATABASE_URL if ON_POSTGRESQL else "",
        "DJANGO_SECRET_KEY": "for-tests-only-and-long-enough-to-be-accepted",
        "OPENAI_API_KEY": "sk-tests",
        **NO_THROTTLES,
    }


def answers(url: str) -> bool:
    try:
        socket.create_connection(place(url), timeout=2).close()
    except OSError:
        return False
    return True


def place(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    default = 6379 if parts.scheme.startswith("redis") else 5432
    return parts.hostname or "127.0.0.1", parts.port or default
