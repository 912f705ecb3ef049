"""Triggers that rewrite the curation stamp; see CurationStamp for why they are triggers."""

from django.db import migrations

TABLES = ["knowledge_keyword", "knowledge_keywordarticle"]
EVENTS = ["INSERT", "UPDATE", "DELETE"]

POSTGRESQL_FUNCTION = """
CREATE FUNCTION knowledge_stamp_curation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO knowledge_curationstamp (id, value, changed_at)
    VALUES (1, (random() * 9007199254740991)::bigint, now())
    ON CONFLICT (id) DO UPDATE SET value = excluded.value, changed_at = excluded.changed_at;
    RETURN NULL;
END $$
"""


def create_triggers(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(POSTGRESQL_FUNCTION)
    for table in TABLES:
        create_triggers_on(table, schema_editor)


def create_triggers_on(table, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(
            f"CREATE TRIGGER {table}_stamp AFTER INSERT OR UPDATE OR DELETE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION knowledge_stamp_curation()"
        )
        return
    for event in EVENTS:
        schema_editor.execute(
            f"CREATE TRIGGER {table}_stamp_{event.lower()} AFTER {event} ON {table} BEGIN "
            "INSERT INTO knowledge_curationstamp (id, value, changed_at) "
            "VALUES (1, random(), strftime('%Y-%m-%d %H:%M:%f', 'now')) "
            "ON CONFLICT (id) DO UPDATE SET value = excluded.value, "
            "changed_at = excluded.changed_at; END"
        )


def drop_triggers(apps, schema_editor):
    for table in TABLES:
        drop_triggers_on(table, schema_editor)
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP FUNCTION knowledge_stamp_curation()")


def drop_triggers_on(table, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"DROP TRIGGER {table}_stamp ON {table}")
        return
    for event in EVENTS:
        schema_editor.execute(f"DROP TRIGGER {table}_stamp_{event.lower()}")


class Migration(migrations.Migration):
    dependencies = [("knowledge", "0001_initial")]

    operations = [migrations.RunPython(create_triggers, drop_triggers)]
