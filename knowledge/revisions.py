"""Revisions of curated content: each change of it is kept, with who made it and when."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import NotSupportedError, models, transaction
from simple_history.models import HistoricalChanges, HistoricalRecords

from accounts.audit import Audited, AuditedQuerySet
from accounts.models import User


class ContentHistory(HistoricalRecords):
    """The revisions of a model, as rows of `<Model>Revision`; the latest has the highest id.

    Saving what has not changed leaves none.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(
            custom_model_name="{}Revision".format,
            history_id_field=models.BigAutoField(),
            **options,
        )

    def get_meta_options(self, model: type[models.Model]) -> dict[str, Any]:
        return super().get_meta_options(model) | {
            "ordering": ["-history_id"],
            "get_latest_by": "history_id",
            "verbose_name": f"revision of {model._meta.verbose_name}",
            "verbose_name_plural": f"revisions of {model._meta.verbose_name_plural}",
        }

    def create_historical_record(
        self, instance: models.Model, history_type: str, using: str | None = None
    ) -> None:
        if history_type != "~":
            super().create_historical_record(instance, history_type, using)
            return
        record_changes(
            type(instance),
            [instance.pk],
            user=self.get_history_user(instance),
            reason=self.get_change_reason_for_object(instance, history_type, using),
        )


class Revised(Audited):
    """Saved together with its revision, or not at all."""

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        with transaction.atomic():
            super().save(*args, **kwargs)


class RevisedQuerySet(AuditedQuerySet):
    """Bulk changes, which pass by `save`, leave revisions too."""

    def update(self, **changes: Any) -> int:
        with transaction.atomic():
            pks = list(self.order_by().values_list("pk", flat=True))
            # These alone: others might come to match meanwhile.
            updated = super(RevisedQuerySet, self.filter(pk__in=pks)).update(**changes)
            record_changes(self.model, pks)
        return updated

    update.alters_data = True

    def bulk_create(
        self,
        objs: Iterable[models.Model],
        batch_size: int | None = None,
        ignore_conflicts: bool = False,
        **options: Any,
    ) -> list[models.Model]:
        if ignore_conflicts:
            raise NotSupportedError("What was created would stay unknown, and without a revision.")
        with transaction.atomic():
            created = super().bulk_create(objs, batch_size, **options)
            record_changes(self.model, [row.pk for row in created])
        return created


def record_changes(
    model: type[models.Model],
    pks: Sequence[Any],
    *,
    user: User | None = None,
    reason: str | None = None,
) -> None:
    """Gives the rows that differ from their latest revision a new one, as the database has them.

    Without `user` it is the one of the request under way, if there is one.
    """
    latest = latest_revisions(model, pks)
    rows = model._base_manager.filter(pk__in=pks)
    changed = [row for row in rows if differs(row, latest.get(row.pk))]
    for is_known in (False, True):
        model.revisions.bulk_history_create(
            [row for row in changed if (row.pk in latest) == is_known],
            update=is_known,
            default_user=user,
            default_change_reason=reason,
        )


def latest_revisions(model: type[models.Model], pks: Sequence[Any]) -> dict[Any, HistoricalChanges]:
    """By the primary key of what they are revisions of."""
    pk = model._meta.pk.attname
    revisions = model.revisions.filter(**{f"{pk}__in": pks})
    ids = revisions.order_by().values(pk).annotate(latest=models.Max("history_id"))
    found = model.revisions.filter(history_id__in=ids.values("latest"))
    return {getattr(revision, pk): revision for revision in found}


def differs(row: models.Model, revision: HistoricalChanges | None) -> bool:
    if revision is None:
        return True
    names = [field.attname for field in revision.tracked_fields]
    return any(getattr(row, name) != getattr(revision, name) for name in names)


def latest_revision_of(model: type[models.Model], pk: str) -> models.Subquery:
    """For annotations: the id of the latest revision of what the column `pk` names."""
    revisions = model.revisions.filter(**{model._meta.pk.attname: models.OuterRef(pk)})
    return models.Subquery(revisions.order_by("-history_id").values("history_id")[:1])


def number_of_revision(model: type[models.Model], revision: str) -> models.Subquery:
    """For annotations: which of its object's revisions `revision` is, counted from 1."""
    pk = model._meta.pk.attname
    earlier = model.revisions.filter(
        **{pk: models.OuterRef(f"{revision}__{pk}")}, history_id__lte=models.OuterRef(revision)
    )
    counted = earlier.order_by().values(pk).annotate(number=models.Count("history_id"))
    return models.Subquery(counted.values("number"))
