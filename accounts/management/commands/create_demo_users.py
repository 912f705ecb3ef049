import os
import secrets
from typing import Any

from django.core.management.base import BaseCommand

from accounts.models import Module, Role, User

CAST = [
    ("admin", Role.ADMIN, Module.values),
    ("analyst", Role.ANALYST, Module.values),
    ("trainee", Role.ANALYST, [Module.SIMULATIONS]),
]


class Command(BaseCommand):
    help = (
        "Creates or updates the users of the demo: admin, analyst and trainee. Their password is "
        "$DEMO_PASSWORD, or a random one for each, which is printed."
    )

    def handle(self, **options: Any) -> None:
        self.stdout.write("Users to sign in as:")
        for username, role, modules in CAST:
            password = os.environ.get("DEMO_PASSWORD") or secrets.token_urlsafe(12)
            user, _ = User.objects.get_or_create(username=username)
            user.role, user.modules = role, list(modules)
            user.set_password(password)
            user.save()
            shown = "$DEMO_PASSWORD" if os.environ.get("DEMO_PASSWORD") else password
            self.stdout.write(f"  {username:8} {role:8} password: {shown}")
