"""The Celery app of the reference contenders; it shares the product's settings, not its tasks."""

from celery import Celery

app = Celery("reference", include=["benchmarks.capacity_parts.reference_task"])
app.config_from_object("django.conf:settings", namespace="CELERY")
