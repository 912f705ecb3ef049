"""Celery apps of a product that lacks one of its rules: what the invariants are there to notice.

Each module is a worker's `--app` and takes the rule out where the rule is; the product has no
switch for it.
"""

from typing import Any

import django

django.setup()


def replace(owner: Any, name: str, value: Any) -> Any:
    """What was there. Raises AttributeError if nothing was: the rule has moved, and still holds."""
    original = getattr(owner, name)
    setattr(owner, name, value)
    return original
