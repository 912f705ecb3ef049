import django.db.models.deletion
import simulations.models.rules
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('simulations', '0022_agent_due_index'),
    ]

    operations = [
        migrations.AlterField(
            model_name='agent',
            name='assistant',
            field=models.ForeignKey(blank=True, help_text='Empty: the one that is the default when it runs.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='agents', to='simulations.assistant'),
        ),
        migrations.AlterField(
            model_name='answerrule',
            name='phrase',
            field=models.CharField(help_text='Plain text; case makes no difference. Write “ – ” where there may be a dash, spaces or neither.', max_length=100),
        ),
        migrations.AlterField(
            model_name='answerrule',
            name='position',
            field=models.PositiveIntegerField(default=simulations.models.rules.next_rule_position, help_text='The order in which disclaimers are taken out. Of several headers that fit, the longest is.'),
        ),
        migrations.AlterField(
            model_name='answerrulerevision',
            name='phrase',
            field=models.CharField(help_text='Plain text; case makes no difference. Write “ – ” where there may be a dash, spaces or neither.', max_length=100),
        ),
        migrations.AlterField(
            model_name='answerrulerevision',
            name='position',
            field=models.PositiveIntegerField(default=simulations.models.rules.next_rule_position, help_text='The order in which disclaimers are taken out. Of several headers that fit, the longest is.'),
        ),
    ]
