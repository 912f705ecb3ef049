"""The audit log: who changed what, with what was there before and after.

What is `Audited` writes an entry with every change, in the change's own transaction: saves,
deletions, cascades too, and bulk changes through its `AuditedQuerySet`. SQL by hand is not seen.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, ClassVar

from django.core.exceptions import ObjectDoesNotExist
from django.core.serializers.json import DjangoJSONEncoder
from django.db import NotSupportedError, models, transaction
from django.db.models.signals import post_delete
from django.utils import timezone
from simple_history.models import HistoricalRecords

from config.request_id import REQUEST_ID_LENGTH, current_request_id

SYSTEM = "system"
HIDDEN = "(hidden)"
# Characters of a text that an entry keeps; revisions have the whole of what is longer.
LONGEST_VALUE = 12_000
APPEND_ONLY = "The audit log is append-only."

Change = tuple[models.Model | None, models.Model | None]


class AuditEntryQuerySet(models.QuerySet["AuditEntry"]):
    def update(self, **changes: Any) -> int:
        raise NotSupportedError(APPEND_ONLY)

    def delete(self) -> tuple[int, dict[str, int]]:
        raise NotSupportedError(APPEND_ONLY)

    def unguarded(self) -> models.QuerySet["AuditEntry"]:
        """For simulations.privacy: what is too old goes, and so do the names of erased people."""
        return models.QuerySet(self.model, self.query.chain(), self.db)


class AuditEntry(models.Model):
    """One change of one object. It names actor and object as they were, and outlives both."""

    class Action(models.TextChoices):
        CREATED = "created", "Created"
        CHANGED = "changed", "Changed"
        DELETED = "deleted", "Deleted"

    at = models.DateTimeField(default=timezone.now, db_index=True)
    actor = models.CharField(max_length=150, help_text=f"“{SYSTEM}”: no user's request.")
    actor_id = models.BigIntegerField(null=True)
    action = models.CharField(max_length=16, choices=Action)
    noun = models.CharField(max_length=50)
    object_id = models.CharField(max_length=64)
    object_name = models.CharField(max_length=250)
    changes = models.JSONField(
        encoder=DjangoJSONEncoder, help_text="For each field what it was and what it is."
    )
    request_id = models.CharField(max_length=REQUEST_ID_LENGTH, blank=True)

    objects = AuditEntryQuerySet.as_manager()

    class Meta:
        ordering = ["-at", "-id"]
        verbose_name = "audit entry"
        verbose_name_plural = "audit log"
        indexes = [models.Index(fields=["noun", "object_id"], name="audit_object")]

    def __str__(self) -> str:
        return f"{self.actor} {self.action} {self.noun} {self.object_name}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise NotSupportedError(APPEND_ONLY)
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        raise NotSupportedError(APPEND_ONLY)


class AuditedQuerySet(models.QuerySet):
    def update(self, **changes: Any) -> int:
        if not audited_names(self.model) & changes.keys():
            return super().update(**changes)
        with transaction.atomic():
            pks = list(self.order_by().values_list("pk", flat=True))
            with recorded(self.model, pks):
                # These alone: others might come to match meanwhile.
                return super(AuditedQuerySet, self.filter(pk__in=pks)).update(**changes)

    update.alters_data = True

    def bulk_create(self, objs: Iterable[models.Model], *args: Any, **options: Any) -> list[Any]:
        pks: list[Any] = []
        with recorded(self.model, pks):
            created = super().bulk_create(objs, *args, **options)
            pks += [row.pk for row in created]
        return created


class Audited(models.Model):
    # Fields whose changes are no one's decision, and those whose values are not to be seen.
    not_audited: ClassVar[frozenset[str]] = frozenset()
    secrets: ClassVar[frozenset[str]] = frozenset()

    objects = AuditedQuerySet.as_manager()

    class Meta:
        abstract = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # The one place that sees cascades and the deletions of querysets as well.
        post_delete.connect(note_deletion, sender=cls)

    def save(self, *args: Any, **kwargs: Any) -> None:
        named = kwargs.get("update_fields")
        if named is not None and not audited_names(type(self)) & set(named):
            super().save(*args, **kwargs)
            return
        pks = [] if self.pk is None else [self.pk]
        with recorded(type(self), pks):
            super().save(*args, **kwargs)
            pks[:] = [self.pk]

    @property
    def audit_id(self) -> str:
        return str(self.pk)


@contextmanager
def made_by(user: models.Model | None) -> Iterator[None]:
    """What changes meanwhile is `user`'s, as if it was a request of theirs; None: nobody's."""
    context = HistoricalRecords.context
    before = getattr(context, "request", None)
    context.request = SimpleNamespace(user=user) if user else None
    try:
        yield
    finally:
        context.request = before


@contextmanager
def recorded(model: type[Audited], pks: Sequence[Any]) -> Iterator[None]:
    """What becomes of these rows meanwhile; rows that are made meanwhile may be added to `pks`."""
    with transaction.atomic():
        before = rows_of(model, pks)
        yield
        after = rows_of(model, pks)
        note([(before.get(pk), after.get(pk)) for pk in pks])


def rows_of(model: type[Audited], pks: Sequence[Any]) -> dict[Any, Audited]:
    return model._base_manager.select_for_update(no_key=True).in_bulk(pks) if pks else {}


def note_deletion(sender: type[Audited], instance: Audited, **kwargs: Any) -> None:
    note([(instance, None)])


def note(changes: Iterable[Change]) -> None:
    entries = [describe(before, after) for before, after in changes if before or after]
    AuditEntry.objects.bulk_create(entry for entry in entries if entry.changes)


def describe(before: Audited | None, after: Audited | None) -> AuditEntry:
    shown = after or before
    action = AuditEntry.Action.CHANGED
    if not (before and after):
        action = AuditEntry.Action.CREATED if after else AuditEntry.Action.DELETED
    user = current_user()
    return AuditEntry(
        actor=user.get_username() if user else SYSTEM,
        actor_id=user.pk if user else None,
        action=action,
        noun=shown._meta.verbose_name,
        object_id=shown.audit_id,
        object_name=name_of(shown)[:250],
        changes=changes_between(before, after),
        request_id=current_request_id(),
    )


def current_user() -> Any:
    """Who made the request under way; None where there is none, or nobody is signed in."""
    user = getattr(getattr(HistoricalRecords.context, "request", None), "user", None)
    return user if user is not None and user.is_authenticated else None


def changes_between(before: Audited | None, after: Audited | None) -> dict[str, list[Any]]:
    changes = {}
    for field in audited_fields(type(after or before)):
        old, new = (row and getattr(row, field.attname) for row in (before, after))
        if old != new or not (before and after):
            changes[field.name] = [show(before, field), show(after, field)]
    return changes


def audited_fields(model: type[Audited]) -> list[models.Field]:
    fields = [field for field in model._meta.concrete_fields if not field.primary_key]
    return [field for field in fields if field.name not in model.not_audited]


def audited_names(model: type[Audited]) -> set[str]:
    return {name for field in audited_fields(model) for name in (field.name, field.attname)}


def show(row: Audited | None, field: models.Field) -> Any:
    """As JSON can hold it; what another row is, by its name."""
    value = row and getattr(row, field.attname)
    if value is None:
        return None
    if field.name in row.secrets:
        return HIDDEN
    if field.is_relation:
        return name_of(row, field.name)
    if isinstance(value, str) and len(value) > LONGEST_VALUE:
        return f"{value[:LONGEST_VALUE]}… ({len(value):,} characters)"
    return value


def name_of(row: Audited, field: str = "") -> str:
    """The row's own, or that of the one its `field` names; its key where that is gone already."""
    try:
        return str(getattr(row, field) if field else row)
    except ObjectDoesNotExist:
        return str(getattr(row, f"{field}_id") if field else row.pk)
