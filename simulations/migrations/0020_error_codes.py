"""A provider's own codes become one of ours; the message names them still."""

from django.db import migrations

KNOWN = [
    "start_timeout",
    "run_timeout",
    "run_failed",
    "run_incomplete",
    "run_expired",
    "run_cancelled",
    "run_lost",
    "tool_limit",
    "refused",
    "empty_answer",
    "conversation_gone",
    "assistant_refused",
    "provider_refused",
    "provider_auth",
    "internal_error",
]


def name_refusals(apps, schema_editor):
    failed = apps.get_model("simulations", "Simulation").objects.filter(status="FAILED")
    failed.exclude(error_code__in=KNOWN).update(error_code="provider_refused")


class Migration(migrations.Migration):
    dependencies = [("simulations", "0019_fault_codes")]

    operations = [migrations.RunPython(name_refusals, migrations.RunPython.noop)]
