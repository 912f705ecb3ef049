from django.apps import AppConfig

from accounts import sign_in_log


class AccountsConfig(AppConfig):
    name = "accounts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        sign_in_log.connect()
