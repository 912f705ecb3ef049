"""The rules that answers were cleaned by when they were fixed, as the first version."""

import hashlib
import json

from django.db import migrations
from django.utils import timezone

# Phrase, kind, inside text.
RULES = [
    ["Executive Summary", "header", True],
    ["Situational Synthesis", "header", True],
    ["What It Means", "header", False],
    ["What to Watch", "header", False],
    ["Follow-up Questions", "header", False],
    ["Followup Questions", "header", False],
    ["Red Team – Consideration", "header", False],
    ["Red Team", "header", False],
    ["Interpretive Note", "header", True],
    ["Note on Risk", "disclaimer", False],
    ["Risk disclaimer", "disclaimer", False],
]


def seed(apps, schema_editor):
    rule_model = apps.get_model("simulations", "AnswerRule")
    revision_model = apps.get_model("simulations", "AnswerRuleRevision")
    for position, (phrase, kind, inside_text) in enumerate(RULES, start=1):
        fields = {"phrase": phrase, "kind": kind, "inside_text": inside_text, "position": position}
        rule = rule_model.objects.create(**fields)
        revision_model.objects.create(
            id=rule.pk,
            history_type="+",
            history_date=timezone.now(),
            history_change_reason="Seeded",
            **fields,
        )
    digest = hashlib.sha256(json.dumps(RULES).encode()).hexdigest()
    version = apps.get_model("simulations", "RulesVersion").objects.create(
        digest=digest, rules=RULES
    )
    cleaned = apps.get_model("simulations", "Simulation").objects.exclude(raw_answer="")
    cleaned.update(rules_version=version)


class Migration(migrations.Migration):
    dependencies = [("simulations", "0007_answer_rules")]

    operations = [migrations.RunPython(seed, migrations.RunPython.noop)]
