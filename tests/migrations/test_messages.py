"""How many messages migration 0012 costs, counted on their way to the server.

A message is a statement, or several that are sent together.
"""

import subprocess
import sys
from collections.abc import Callable

from tests.deadline import DEADLINE
from tests.operations.drift.round_trips import counting_relay
from tests.postgres.databases import ROOT, Database, process_environment

STOCK = (
    "import sys, django; django.setup();"
    "from django.core.management.commands.migrate import Command;"
    "Command().run_from_argv(['manage.py', 'migrate', '--skip-checks', *sys.argv[1:]])"
)
TARGET = ("signals", "0012_signal_state")
ROWS = 20_000  # more than a plan takes for an empty or a small table


def messages(database: Database, *words: str) -> int:
    """Return how many messages a process of this interpreter sends to the database."""
    with counting_relay(database) as (relay, _):
        environment = process_environment(relay.url)
        subprocess.run(
            [sys.executable, *words],
            cwd=ROOT,
            env=environment | {"DJANGO_SETTINGS_MODULE": "project.settings"},
            capture_output=True,
            timeout=DEADLINE,
            check=True,
        )
        return relay.round_trips - relay.sessions


def migrate(database: Database, *words: str) -> int:
    return messages(database, "manage.py", "migrate", *words)


def stock_migrate(database: Database, *words: str) -> int:
    """Return the number of messages of Django's own command."""
    return messages(database, "-c", STOCK, *words)


def test_with_nothing_to_do_three_more_than_djangos_own(copy: Callable[[str], Database]) -> None:
    """All for the lock of the migrators: its place, the lock, and its end."""
    database = copy("empty")
    database.manage("migrate")
    assert migrate(database) == stock_migrate(database) + 3


def test_a_fresh_run_and_a_rerun_of_0012(copy: Callable[[str], Database]) -> None:
    """Ask for the rights; read, send and read again three components, one in two steps; or read once."""
    database = copy("empty")
    database.migrate("0011")
    database.run(
        "INSERT INTO signals (ts, created_at, updated_at) "
        f"SELECT now(), now(), now() FROM generate_series(1, {ROWS})",
        "VACUUM ANALYZE signals",
    )
    fresh = migrate(database, *TARGET)
    database.run("DELETE FROM django_migrations WHERE name = '0012_signal_state'")
    rerun = migrate(database, *TARGET)
    database.run("DELETE FROM django_migrations WHERE name = '0012_signal_state'")
    recorded = stock_migrate(database, *TARGET, "--fake")
    assert (fresh - recorded, rerun - recorded) == (19, 6)
