"""Reading what a caller sent: each function returns a checked value or raises an `ApiError`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

from emulator.errors import invalid, missing, not_found, wrong_type


class Identified(Protocol):
    id: str


T = TypeVar("T", bound=Identified)

METADATA_PAIRS, METADATA_KEY, METADATA_VALUE = 16, 64, 512
PAGE_DEFAULT, PAGE_MAX = 20, 100


def one_of(
    body: Mapping[str, Any], name: str, allowed: Sequence[str], default: str | None = None
) -> str:
    value = body.get(name, default)
    if value is None:
        raise missing(name)
    if value not in allowed:
        listed = ", ".join(f"'{item}'" for item in allowed)
        raise invalid(
            f"Invalid value: '{value}'. Supported values are: {listed}.",
            param=name,
            code="invalid_value",
        )
    return value


def integer(body: Mapping[str, Any], name: str, default: int) -> int:
    value = body.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong_type(name, "an integer")
    return value


def positive_int(body: Mapping[str, Any], name: str, default: int) -> int:
    value = body.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise wrong_type(name, "a positive integer")
    return value


def non_negative(body: Mapping[str, Any], name: str, default: float | None) -> float | None:
    value = body.get(name, default)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise wrong_type(name, "a number that is not negative")
    if value < 0 or not math.isfinite(value):
        raise wrong_type(name, "a number that is not negative")
    return float(value)


def text(body: Mapping[str, Any], name: str, *, required: bool = False) -> str | None:
    value = body.get(name)
    if value is None:
        if required:
            raise missing(name)
        return None
    if not isinstance(value, str):
        raise wrong_type(name, "a string")
    return value


def is_http_url(value: str) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def metadata(body: Mapping[str, Any]) -> dict[str, str]:
    """At most 16 pairs, keys of 64 characters, values of 512."""
    pairs = body.get("metadata") or {}
    if not isinstance(pairs, dict):
        raise wrong_type("metadata", "an object")
    if len(pairs) > METADATA_PAIRS:
        raise invalid(
            "Invalid 'metadata': too many properties. Expected an object with at most "
            f"{METADATA_PAIRS} properties, but got an object with {len(pairs)} properties instead.",
            param="metadata",
            code="object_above_max_properties",
        )
    for key, value in pairs.items():
        _check_pair(key, value)
    return pairs


def _check_pair(key: str, value: object) -> None:
    if len(key) > METADATA_KEY:
        raise invalid(
            f"Invalid 'metadata': property name too long. Expected a string with maximum length "
            f"{METADATA_KEY}, but got a string with length {len(key)} instead.",
            param="metadata",
            code="property_name_above_max_length",
        )
    if not isinstance(value, str):
        raise wrong_type(f"metadata.{key}", "a string")
    if len(value) > METADATA_VALUE:
        raise invalid(
            f"Invalid 'metadata.{key}': string too long. Expected a string with maximum length "
            f"{METADATA_VALUE}, but got a string with length {len(value)} instead.",
            param=f"metadata.{key}",
            code="string_above_max_length",
        )


def content_text(content: object, param: str) -> str:
    """The text of a message's content: a string, or a list of parts that have `text`."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise wrong_type(param, "a string or an array of content parts")
    return "".join(part.get("text") or "" for part in content if isinstance(part, dict))


def functions(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    tools = body.get("tools") or []
    if not isinstance(tools, list):
        raise wrong_type("tools", "an array")
    for position, tool in enumerate(tools):
        if not isinstance(tool, dict) or "type" not in tool:
            raise missing(f"tools[{position}].type")
    return tools


def page(
    entries: Sequence[T],
    query: Mapping[str, str],
    render: Callable[[T], dict[str, Any]],
) -> dict[str, Any]:
    """One page of `entries` (oldest first), newest first unless `order=asc`, from `after` on."""
    limit = _limit(query)
    ordered = list(entries)
    if one_of(query, "order", ("asc", "desc"), default="desc") == "desc":
        ordered.reverse()
    if after := query.get("after"):
        ordered = ordered[_position(ordered, after) + 1 :]
    shown = ordered[:limit]
    return {
        "object": "list",
        "data": [render(entry) for entry in shown],
        "first_id": shown[0].id if shown else None,
        "last_id": shown[-1].id if shown else None,
        "has_more": len(ordered) > limit,
    }


def _limit(query: Mapping[str, str]) -> int:
    value = query.get("limit", str(PAGE_DEFAULT))
    if not value.isdecimal() or not 1 <= int(value) <= PAGE_MAX:
        raise invalid(
            f"Invalid 'limit': expected an integer between 1 and {PAGE_MAX}, but got '{value}'.",
            param="limit",
            code="invalid_value",
        )
    return int(value)


def _position(entries: Sequence[Identified], wanted: str) -> int:
    for position, entry in enumerate(entries):
        if entry.id == wanted:
            return position
    raise not_found(f"No item found with id '{wanted}'.")
