from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("simulations", "0020_error_codes")]

    operations = [
        migrations.AddField(
            model_name="run",
            name="refusals",
            field=models.PositiveSmallIntegerField(
                default=0,
                help_text="How often the provider refused calls about it since it last answered.",
            ),
        ),
    ]
