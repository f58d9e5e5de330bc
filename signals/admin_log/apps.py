"""The app whose migration builds the index."""

from django.apps import AppConfig


class AdminLogConfig(AppConfig):
    """The index on the log of the admin."""

    name = "signals.admin_log"
    label = "signals_admin_log"
    verbose_name = "Log of the admin"
