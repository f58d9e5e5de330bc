"""How many messages migration 0012 costs, counted on their way to the server.

A message is a statement, or several that are sent together.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from tests.deadline import DEADLINE
from tests.postgres.databases import ROOT, Database, process_environment
from tests.postgres.wire import Wire, wire

STOCK = (
    "import sys, django; django.setup();"
    "from django.core.management.commands.migrate import Command;"
    "Command().run_from_argv(['manage.py', 'migrate', '--skip-checks', *sys.argv[1:]])"
)
TARGET = ("signals", "0012_signal_state")
ROWS = 20_000  # more than a plan takes for an empty or a small table


@pytest.fixture
def counted() -> Iterator[Wire]:
    with wire() as made:
        yield made


def messages(counted: Wire, database: Database, *words: str) -> list[str]:
    """Return what a process of this interpreter sends to the database."""
    counted.texts.clear()
    environment = process_environment(counted.url(database))
    subprocess.run(
        [sys.executable, *words],
        cwd=ROOT,
        env=environment | {"DJANGO_SETTINGS_MODULE": "project.settings"},
        capture_output=True,
        timeout=DEADLINE,
        check=True,
    )
    return list(counted.texts)


def migrate(counted: Wire, database: Database, *words: str) -> int:
    return len(messages(counted, database, "manage.py", "migrate", *words))


def stock_migrate(counted: Wire, database: Database, *words: str) -> int:
    """Return the number of messages of Django's own command."""
    return len(messages(counted, database, "-c", STOCK, *words))


def test_with_nothing_to_do_three_more_than_djangos_own(
    counted: Wire, copy: Callable[[str], Database]
) -> None:
    """All for the lock of the migrators: its place, the lock, and its end."""
    database = copy("empty")
    database.manage("migrate")
    assert migrate(counted, database) == stock_migrate(counted, database) + 3


def test_a_fresh_run_and_a_rerun_of_0012(counted: Wire, copy: Callable[[str], Database]) -> None:
    """Read, send and read again three components, one of them in two steps; or read once."""
    database = copy("empty")
    database.migrate("0011")
    database.run(
        "INSERT INTO signals (ts, created_at, updated_at) "
        f"SELECT now(), now(), now() FROM generate_series(1, {ROWS})",
        "VACUUM ANALYZE signals",
    )
    fresh = migrate(counted, database, *TARGET)
    database.run("DELETE FROM django_migrations WHERE name = '0012_signal_state'")
    rerun = migrate(counted, database, *TARGET)
    database.run("DELETE FROM django_migrations WHERE name = '0012_signal_state'")
    recorded = stock_migrate(counted, database, *TARGET, "--fake")
    assert (fresh - recorded, rerun - recorded) == (22, 5)
