"""What is there already gets its first revision."""

from django.db import migrations
from django.utils import timezone

REASON = "As it was when revisions began"
BATCH = 500


def add_first_revisions(model, revision_model):
    """What has a revision already is left alone."""
    meta = {"history_id", "history_date", "history_change_reason", "history_type", "history_user"}
    names = [field.attname for field in revision_model._meta.fields if field.name not in meta]
    now = timezone.now()
    known = revision_model.objects.values("id")
    revision_model.objects.bulk_create(
        (
            revision_model(
                history_type="+",
                history_date=getattr(row, "updated_at", now),
                history_change_reason=REASON,
                **{name: getattr(row, name) for name in names},
            )
            for row in model.objects.exclude(pk__in=known).order_by("pk")
        ),
        batch_size=BATCH,
    )


def add_all(apps, schema_editor):
    for name in ("Article", "Keyword", "KeywordArticle"):
        add_first_revisions(
            apps.get_model("knowledge", name), apps.get_model("knowledge", f"{name}Revision")
        )


class Migration(migrations.Migration):
    dependencies = [("knowledge", "0004_revisions")]

    operations = [migrations.RunPython(add_all, migrations.RunPython.noop)]
