from django.apps import AppConfig


class SimulationsConfig(AppConfig):
    name = "simulations"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from simulations import checks  # noqa: F401 - registers the system checks
