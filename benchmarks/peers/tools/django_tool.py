"""What the tools for Django share: a project with one app, and what its migration declares."""

import sys
from collections.abc import Mapping
from io import StringIO
from typing import Any

import django
from django.conf import settings
from django.core.management import call_command
from django.db import connection, models
from django.db.migrations.operations.base import Operation
from psycopg.conninfo import conninfo_to_dict

from benchmarks.peers.cases import Component
from benchmarks.peers.parts import declared
from benchmarks.peers.tools.serving import Cell

MODEL = "part"
GRADE = models.IntegerField(null=True)
CHECK = models.CheckConstraint(condition=models.Q(amount__gt=0), name="part_amount_check")
INDEX = models.Index(fields=["label"], name="part_label_idx")
UNIQUE = models.UniqueConstraint(fields=["label"], name="part_label_key")
IS_HALF = models.Q(label__startswith="50%")
PERCENT_CHECK = models.CheckConstraint(condition=~IS_HALF, name="part_percent_check")
PERCENT_INDEX = models.Index(fields=["amount"], condition=IS_HALF, name="part_percent_idx")
STATE = models.TextField(db_default="candidate")
STATE_CHECK = models.CheckConstraint(
    condition=models.Q(state__in=("candidate", "verified", "downgraded")), name="part_state_check"
)
STATE_INDEX = models.Index(fields=["state", "made_at"], name="part_state_idx")


class DjangoTool:
    """`manage.py migrate` and `sqlmigrate` with the tool's operations."""

    def __init__(
        self,
        operations: Mapping[Component, Operation],
        *,
        packages: tuple[str, ...] = (),
        apps: tuple[str, ...] = (),
        engine: str = "django.db.backends.postgresql",
        **options: Any,
    ) -> None:
        self.operations = operations
        self.packages = ("django", *packages)
        settings.configure(
            INSTALLED_APPS=[*apps, "benchmarks.peers.parts"],
            DATABASES={"default": {"ENGINE": engine}},
            USE_TZ=True,
            **options,
        )
        django.setup()

    def begin(self, cell: Cell) -> None:
        address = dict(conninfo_to_dict(cell.conninfo))
        connection.close()
        connection.settings_dict.update(NAME=address.pop("dbname"), OPTIONS=address)
        declared.table = cell.table
        declared.operations = [self.operations[component] for component in cell.declares]
        for module in [name for name in sys.modules if name.startswith(declared.MIGRATIONS)]:
            del sys.modules[module]  # so that Django reads the migrations anew
        self._migrate("0001", fake=True)

    def migrate(self) -> None:
        self._migrate("0002")

    def forget(self) -> None:
        self._migrate("0001", fake=True)

    def script(self) -> str:
        printed = StringIO()
        call_command("sqlmigrate", "parts", "0002", stdout=printed, no_color=True)
        return printed.getvalue()

    def _migrate(self, name: str, **options: bool) -> None:
        call_command("migrate", "parts", name, verbosity=0, interactive=False, **options)
