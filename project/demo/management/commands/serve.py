import os
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management import BaseCommand, call_command
from django.db import connection


class Command(BaseCommand):
    """Django's runserver on the loopback interface, which says first whether anybody can log in."""

    help = "Serve the admin on 127.0.0.1."
    requires_system_checks = ()  # runserver's own

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("port", nargs="?", type=int, default=8000)

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        # runserver starts this command again whenever a file changes; once is enough to say it.
        if os.environ.get("RUN_MAIN") != "true" and not self._somebody_may_log_in():
            self.stderr.write(
                "Nobody can log in yet (make demo makes a user, and so does "
                ".venv/bin/python manage.py createsuperuser)."
            )
        call_command("runserver", f"127.0.0.1:{options['port']}")

    def _somebody_may_log_in(self) -> bool:
        users = get_user_model()
        return (
            users._meta.db_table in connection.introspection.table_names()
            and users.objects.filter(is_superuser=True, is_active=True).exists()
        )
