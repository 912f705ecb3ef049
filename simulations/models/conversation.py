import uuid

from django.db import models
from django.db.models.functions import Now

from accounts.models import User


class Conversation(models.Model):
    """A provider's conversation or thread. It keeps the protocol that opened it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(User, on_delete=models.CASCADE, related_name="conversations")
    protocol = models.CharField(max_length=16)
    provider_id = models.CharField(max_length=512, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return self.provider_id or str(self.id)
