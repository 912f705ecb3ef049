"""Articles rewrite the curation stamp as well: processes keep those that were sent."""

from importlib import import_module

from django.db import migrations

triggers = import_module("knowledge.migrations.0002_curation_triggers")
TABLE = "knowledge_article"


def create_triggers(apps, schema_editor):
    triggers.create_triggers_on(TABLE, schema_editor)


def drop_triggers(apps, schema_editor):
    triggers.drop_triggers_on(TABLE, schema_editor)


class Migration(migrations.Migration):
    dependencies = [("knowledge", "0002_curation_triggers")]

    operations = [migrations.RunPython(create_triggers, drop_triggers)]
