from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('knowledge', '0006_search'),
    ]

    operations = [
        migrations.AlterField(
            model_name='keyword',
            name='whole_word',
            field=models.BooleanField(default=False, help_text='Find it only where no letter, digit or underscore touches it.'),
        ),
        migrations.AlterField(
            model_name='keywordrevision',
            name='whole_word',
            field=models.BooleanField(default=False, help_text='Find it only where no letter, digit or underscore touches it.'),
        ),
    ]
