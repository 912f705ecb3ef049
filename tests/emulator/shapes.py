"""Strict checks: the SDK builds its objects without validating them, so the tests do."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from pydantic import BaseModel

T = TypeVar("T", bound=BaseModel)


def checked(model: type[T], raw: Any) -> T:
    """The body of an SDK `with_raw_response` answer, validated by the SDK's own model."""
    return model.model_validate(json.loads(raw.text))
