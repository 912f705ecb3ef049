"""How many questions hold a word, which PostgreSQL can't tell from an index of some of them alone.

Without it, it would collect all that hold a common word instead of looking for the latest.
"""

from django.db import migrations

CREATE = """
    CREATE STATISTICS simulation_query_words
    ON (to_tsvector('sitrep', knowledge_plain_words(query))) FROM simulations_simulation
"""
DROP = "DROP STATISTICS simulation_query_words"


def on_postgresql(statement):
    def run(apps, schema_editor):
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.execute(statement, params=None)

    return run


class Migration(migrations.Migration):
    dependencies = [("simulations", "0016_erasure")]

    operations = [migrations.RunPython(on_postgresql(CREATE), on_postgresql(DROP))]
