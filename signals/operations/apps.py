from django.apps import AppConfig
from django.db.models.signals import post_migrate, pre_migrate

from .names import NAME, PACKAGE


class OperationsConfig(AppConfig):
    """The convergent operations and their commands; the app has no table."""

    name = PACKAGE
    label = NAME
    verbose_name = "Convergent migration operations"

    def ready(self) -> None:
        from . import checks  # noqa: F401 - registers the checks
        from .management import checks as installation_checks  # noqa: F401 - the same
        from .management.inheritance import take_over
        from .migrate import preflight
        from .shadow import checks as finding_checks  # noqa: F401 - the same

        take_over()
        pre_migrate.connect(preflight.remember, dispatch_uid=f"{NAME}.remember")
        post_migrate.connect(preflight.forget, dispatch_uid=f"{NAME}.forget")
