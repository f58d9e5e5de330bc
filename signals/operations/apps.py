from django.apps import AppConfig
from django.db.models.signals import post_migrate, pre_migrate


class OperationsConfig(AppConfig):
    """The convergent operations and their commands; it has no table."""

    name = "signals.operations"
    label = "signals_operations"
    verbose_name = "Convergent migration operations"

    def ready(self) -> None:
        from signals.operations import checks, finding_checks, preflight  # noqa: F401 - they register

        pre_migrate.connect(preflight.remember, dispatch_uid="signals.operations.remember")
        post_migrate.connect(preflight.forget, dispatch_uid="signals.operations.forget")
