import os
import secrets
import shlex
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import BaseCommand, CommandError
from django.db import connection, transaction
from django.db.models import Count, Max
from django.utils import timezone

from project.demo import database
from project.demo.features import fill_features
from signals.choices import SignalState
from signals.models import OnchainFeature, Signal

SEED = 20260101
USER = "demo"
FRESH = timedelta(minutes=30)


class Command(BaseCommand):
    """Adopt a generated legacy database, migrate it in place, and verify its signals.

    Every step is whole or repeatable: a run that was interrupted is finished by the next one.
    """

    help = "Adopt a generated legacy database of revision 011, migrate it and verify its signals."
    requires_migrations_checks = False

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--rows", type=int, default=4000, help="signals to make (4000)")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        self._head("A legacy database")
        self._make_database(options["rows"])
        self._head("Adopted in place")
        before = database.rows_now()
        self._manage("migrate")
        self._compare(before, database.rows_now())
        self._manage("verify_schema", "signals", "0012")
        self._head("On-chain features")
        self._load_features()
        self._tell_of_nodes()
        # The second run makes the moves that the first one withheld.
        for rules in ("off", "on"):
            self._head(f"Verified with ONCHAIN_RULES={rules}")
            self._manage(
                *("verify_signal", "--limit", str(options["rows"])),
                ONCHAIN_RULES=rules,
                ONCHAIN_VERDICT_TTL_SEC="0",
            )
            self._show_states()
        self._head("Why a signal has its verdict")
        self._explain()
        self._head("The admin")
        self._make_user()

    def _make_database(self, rows: int) -> None:
        made = database.make(rows, SEED)
        counts = ", ".join(
            f"{count:,} {table}" for table, (count, _) in database.rows_now().items()
        )
        self._say(f"{'Made' if made else 'Skipped, it is there'}: revision 011 with {counts}.")

    def _compare(self, before: database.Rows, after: database.Rows) -> None:
        changed = sorted(table for table in before if before[table] != after.get(table))
        if changed:
            raise CommandError(f"The migration changed rows of {', '.join(changed)}.")
        self._say(
            f"{before['signals'][0]:,} signals, checksum unchanged; so are the other tables'."
        )

    def _load_features(self) -> None:
        newest = OnchainFeature.objects.aggregate(newest=Max("as_of_ts"))["newest"]
        if newest is not None and newest > timezone.now() - FRESH:
            self._say(f"Skipped, the newest are of {newest:%H:%M} UTC.")
            return
        with transaction.atomic(), connection.cursor() as cursor:
            count = fill_features(cursor, SEED)
        self._say(f"Made up {count:,} measurements, the newest of now.")

    def _tell_of_nodes(self) -> None:
        self._say(
            "Nothing here reads a chain. With a node, this measures the tokens of signals: "
            "ONCHAIN_RPC_URL=ethereum=https://… manage.py pull_features (docs/pull_features.md)."
        )

    def _show_states(self) -> None:
        states = Signal.objects.values_list("state").annotate(Count("id")).order_by("state")
        self._say("Signals: " + ", ".join(f"{count:,} {state}" for state, count in states) + ".")

    def _explain(self) -> None:
        moved = Signal.objects.exclude(state=SignalState.CANDIDATE).order_by("-state", "pk").first()
        if moved is None:
            self._say("Skipped, no signal was moved.")
        else:
            self._manage("verify_signal", "--explain", str(moved.pk))

    def _make_user(self) -> None:
        users = get_user_model().objects
        if users.filter(username=USER).exists():
            self._say(
                f"Skipped, the user {USER} is there (a new password: "
                f"{self._line('changepassword', USER)})."
            )
        else:
            password = secrets.token_urlsafe(12)
            # Shown before it is committed, so that no killed run leaves a user of unknown password.
            with transaction.atomic():
                users.create_superuser(USER, password=password)
                self._say(
                    f"User {USER}, password {password} (made for this machine, not shown again)."
                )
        self._say("Open it with `make serve`, then http://127.0.0.1:8000/admin/")

    def _manage(self, *arguments: str, **variables: str) -> None:
        """Run another command of manage.py in a process of its own, as its line could be typed."""
        self._say(f"$ {self._line(*arguments, **variables)}")
        result = subprocess.run(  # noqa: S603 - this project's own commands
            [sys.executable, "manage.py", *arguments],
            cwd=settings.BASE_DIR,
            env=os.environ | variables,
            check=False,
        )
        if result.returncode:
            raise CommandError(
                f"{arguments[0]} ended with {result.returncode}; make demo again continues here.",
                returncode=result.returncode,
            )

    def _line(self, *arguments: str, **variables: str) -> str:
        python = Path(sys.executable)
        if python.is_relative_to(settings.BASE_DIR):
            python = python.relative_to(settings.BASE_DIR)
        words = [str(python), "manage.py", *arguments]
        return " ".join(
            [*(f"{name}={value}" for name, value in variables.items()), shlex.join(words)]
        )

    def _head(self, text: str) -> None:
        self._say(f"\n{self.style.MIGRATE_HEADING(text)}")

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()
