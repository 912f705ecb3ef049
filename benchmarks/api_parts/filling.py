"""A database with so many simulations that are over; run by itself, in that database's environment.

Each has its run. Half of them are the analyst's. Of ten, one is cancelled, three failed, six are
completed. They end before this month, of which the limit is counted. Thirty of the analyst's hold
the word "zephyr".
"""

import json
import sys
from datetime import timedelta

import django
from django.conf import settings
from django.db import connection
from django.db.models import Model

WORDS = [
    "convoy",
    "gate",
    "badge",
    "travel",
    "medical",
    "flood",
    "cyber",
    "crowd",
    "night",
    "radio",
]
PLACES = ["office", "guesthouse", "airport", "market", "clinic", "school", "depot"]
QUERY = f"""format('Which %%s measures fit the %%s in region %%s%%s?',
    (ARRAY{WORDS})[1 + n / 20 %% 10], (ARRAY{PLACES})[1 + n / 200 %% 7],
    n, CASE WHEN n <= 60 THEN ' near the zephyr pass' ELSE '' END)"""
STATUS = """CASE WHEN n / 2 %% 10 = 0 THEN 'CANCELLED' WHEN n / 2 %% 10 < 4 THEN 'FAILED'
    ELSE 'COMPLETED' END"""
OWNER = "CASE WHEN n %% 2 = 0 THEN t.owner_id ELSE %(other)s END"
MOMENT = """date_trunc('month', now()) - interval '1 day'
    - interval '1000 days' * (%(rows)s - n) / %(rows)s"""


def multiply(template: Model, rows: int, other: int, changes: dict[str, str]) -> None:
    """Rows like the template's, but for the SQL in `changes`; then the template goes."""
    table = template._meta.db_table
    columns = [field.column for field in template._meta.concrete_fields]
    values = ", ".join(changes.get(column, f"t.{column}") for column in columns)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({', '.join(columns)}) "
            f"SELECT {values} FROM {table} t, generate_series(1, %(rows)s) n WHERE t.id = %(id)s",
            {"rows": rows, "other": other, "id": template.pk},
        )


def main(rows: int) -> None:
    from accounts.models import ApiToken, Module, Role, User
    from simulations import services
    from simulations.models import Run, Simulation, Status

    limit = {"monthly_simulation_limit": 1_000_000, "modules": Module.values}
    analyst, other = (User.objects.create_user(name, **limit) for name in ("analyst", "other"))
    admin = User.objects.create_user("admin", role=Role.ADMIN, **limit)
    template = services.submit(analyst, "Which one?")
    Simulation.objects.filter(pk=template.pk).transition(Status.COMPLETED, answer="Badges. " * 80)
    template.refresh_from_db()
    identity = {"id": "md5('c' || n)::uuid", "owner_id": OWNER}
    multiply(template.conversation, rows, other.pk, identity)
    multiply(
        template,
        rows,
        other.pk,
        {
            "id": "md5('s' || n)::uuid",
            "conversation_id": identity["id"],
            "owner_id": OWNER,
            "status": STATUS,
            "query": QUERY,
            "created_at": MOMENT,
            "finished_at": MOMENT,
        },
    )
    run = template.runs.create(outcome=Run.Outcome.COMPLETED, provider_id="resp_")
    of_theirs = {"simulation_id": "md5('s' || n)::uuid", "provider_id": "'resp_' || n"}
    multiply(run, rows, other.pk, of_theirs | {"id": "md5('r' || n)::uuid"})
    template.delete()
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    asked = services.submit(analyst, "How do we improve access control at the field office?")
    in_flight = {"admitted_at": asked.created_at, "due_at": asked.created_at + timedelta(days=1)}
    Simulation.objects.filter(pk=asked.pk).update(**in_flight)
    for number in range(3):
        asked.citations.create(
            position=number, slug=f"article-{number}", title="T", category="C", text="Text " * 500
        )
    tokens = {user.username: ApiToken.objects.create(user=user)[1] for user in (analyst, admin)}
    tokens["prometheus"] = settings.METRICS_TOKEN
    print(json.dumps({"tokens": tokens, "simulation": str(asked.pk)}))


if __name__ == "__main__":
    django.setup()
    main(int(sys.argv[1]))
