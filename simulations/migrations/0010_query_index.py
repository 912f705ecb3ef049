"""Questions by their words, as `simulations.filters` looks for them; PostgreSQL only.

Of simulations that are over: their rows hardly change any more, while each step of the engine would
write an entry for every word anew.
"""

from django.db import migrations

CREATE = """
    CREATE INDEX simulation_query_words ON simulations_simulation
    USING gin (to_tsvector('sitrep', knowledge_plain_words(query)))
    WHERE status IN ('COMPLETED', 'FAILED', 'CANCELLED')
"""
DROP = "DROP INDEX simulation_query_words"


def on_postgresql(statement):
    def run(apps, schema_editor):
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.execute(statement, params=None)

    return run


class Migration(migrations.Migration):
    dependencies = [("simulations", "0009_list_indexes"), ("knowledge", "0006_search")]

    operations = [migrations.RunPython(on_postgresql(CREATE), on_postgresql(DROP))]
