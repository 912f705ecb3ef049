"""The code of what went wrong with a run, apart from the provider's words."""

from django.db import migrations, models
from django.db.models import F, Value
from django.db.models.functions import Left, StrIndex, Substr

CODES = {
    "No answer was saved: the worker ended or was held up": "no_answer",
    "Accepted after its simulation had moved on": "moved_on",
    "Cancelled by a user during the call": "cancelled",
    "Could not be ended in time": "not_ended",
    "Its simulation could not be worked on": "internal_error",
}


def split_faults(apps, schema_editor):
    runs = apps.get_model("simulations", "Run").objects
    for text, code in CODES.items():
        runs.filter(fault=text).update(fault=code)
    runs.filter(fault__contains=": ").update(
        fault=Left(F("fault"), StrIndex(F("fault"), Value(": ")) - 1),
        fault_detail=Substr(F("fault"), StrIndex(F("fault"), Value(": ")) + 2),
    )


def join_faults(apps, schema_editor):
    runs = apps.get_model("simulations", "Run").objects
    for text, code in CODES.items():
        runs.filter(fault=code).update(fault=text)
    for run in runs.exclude(fault_detail=""):
        runs.filter(pk=run.pk).update(fault=f"{run.fault}: {run.fault_detail}"[:500])


class Migration(migrations.Migration):
    dependencies = [("simulations", "0018_prices")]

    operations = [
        migrations.AddField(
            model_name="run",
            name="fault_detail",
            field=models.CharField(
                blank=True,
                default="",
                help_text="The provider's words; only administrators see them.",
                max_length=500,
            ),
            preserve_default=False,
        ),
        migrations.RunPython(split_faults, join_faults),
        migrations.AlterField(
            model_name="run",
            name="fault",
            field=models.CharField(
                blank=True,
                help_text="The code of what went wrong, if anything did: one of ours or the "
                "provider's.",
                max_length=64,
            ),
        ),
    ]
