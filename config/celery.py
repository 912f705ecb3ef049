"""The Celery app: one periodic task carries all the work, the database holds all the truth."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("sitrep")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
