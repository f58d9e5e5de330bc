from django.apps import AppConfig


class OperationsConfig(AppConfig):
    """The convergent operations and their commands; it has no table."""

    name = "signals.operations"
    label = "signals_operations"
    verbose_name = "Convergent migration operations"
