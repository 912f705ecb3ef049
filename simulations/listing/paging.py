"""Pages of simulations, newest first, that begin after a row: nothing that is new shifts them.

A cursor names the row it stands beside by its place in the order, created_at and id, and whether
what follows is older or newer. To clients it is an opaque text.
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import Q, QuerySet

from config.errors import NotFound

PAGE_SIZE = 25


class Cursor(NamedTuple):
    created_at: datetime
    pk: UUID
    newer: bool = False

    @classmethod
    def beside(cls, row: dict[str, Any], *, newer: bool = False) -> "Cursor":
        return cls(row["created_at"], row["id"], newer)

    def __str__(self) -> str:
        text = f"{'+' if self.newer else '-'}{self.pk.hex}{self.created_at.isoformat()}"
        return urlsafe_b64encode(text.encode()).decode()

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """Raises NotFound."""
        try:
            plain = urlsafe_b64decode(text.encode("ascii")).decode("ascii")
            direction, pk, moment = plain[:1], UUID(plain[1:33]), datetime.fromisoformat(plain[33:])
            if direction not in {"+", "-"} or moment.utcoffset() is None:
                raise ValueError(plain)
            moment.timestamp()
        except (ValueError, OverflowError, binascii.Error) as error:
            message = "cursor: there is no such page. Begin again without a cursor."
            raise NotFound(message) from error
        return cls(moment, pk, newer=direction == "+")


class CursorPage(NamedTuple):
    """`next` has older rows, `previous` newer ones; None where there are none."""

    rows: Sequence[dict[str, Any]]
    next: Cursor | None
    previous: Cursor | None


def page_of(rows: QuerySet[Any, dict[str, Any]], cursor: Cursor | None) -> CursorPage:
    """`rows`: a queryset of dicts with `id` and `created_at`. One query."""
    goes_back = cursor is not None and cursor.newer
    if cursor:
        rows = rows.filter(beyond(cursor))
    order = ("created_at", "id") if goes_back else ("-created_at", "-id")
    found = list(rows.order_by(*order)[: PAGE_SIZE + 1])
    page, has_more = found[:PAGE_SIZE], len(found) > PAGE_SIZE
    has_newer, has_older = (has_more, True) if goes_back else (cursor is not None, has_more)
    if goes_back:
        page.reverse()
    return CursorPage(
        page,
        next=Cursor.beside(page[-1]) if page and has_older else None,
        previous=Cursor.beside(page[0], newer=True) if page and has_newer else None,
    )


def beyond(cursor: Cursor) -> Q:
    """The first condition alone says where to begin in an index by `created_at`."""
    moment, pk = cursor.created_at, cursor.pk
    if cursor.newer:
        return Q(created_at__gte=moment) & (Q(created_at__gt=moment) | Q(pk__gt=pk))
    return Q(created_at__lte=moment) & (Q(created_at__lt=moment) | Q(pk__lt=pk))
