"""The assistants that are there already get their first revision."""

from importlib import import_module

from django.db import migrations

knowledge = import_module("knowledge.migrations.0005_first_revisions")


def add_all(apps, schema_editor):
    knowledge.add_first_revisions(
        apps.get_model("simulations", "Assistant"),
        apps.get_model("simulations", "AssistantRevision"),
    )


class Migration(migrations.Migration):
    dependencies = [
        ("simulations", "0003_revisions"),
        ("knowledge", "0005_first_revisions"),
    ]

    operations = [migrations.RunPython(add_all, migrations.RunPython.noop)]
