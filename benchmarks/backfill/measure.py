"""One column filled in three ways, each time in a new table."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import django
from django.conf import settings
from django.db import connection, models
from django.db.migrations.state import ModelState, ProjectState
from psycopg.conninfo import conninfo_to_dict

from benchmarks.peers.server import Database
from signals import operations


@dataclass(frozen=True, slots=True)
class Key:
    """A primary key: its columns, their values by a number n, what is below all of them, and its fields."""

    columns: dict[str, str]
    values: str
    least: tuple[object, ...]
    fields: dict[str, Any]


KEYS = {
    "bigint": Key(
        {"id": "bigint"}, "n", (0,), {"id": lambda: models.BigAutoField(primary_key=True)}
    ),
    "uuid": Key(
        {"id": "uuid"},
        "gen_random_uuid()",
        ("00000000-0000-0000-0000-000000000000",),
        {"id": lambda: models.UUIDField(primary_key=True)},
    ),
    "two integers": Key(
        {"a": "integer", "b": "integer"},
        "n / 100, n",
        (-1, 0),
        {
            "pk": lambda: models.CompositePrimaryKey("a", "b"),
            "a": models.IntegerField,
            "b": models.IntegerField,
        },
    ),
}

ONE_UPDATE = "UPDATE part SET size = amount * 10 WHERE size IS NULL"
RANGE_ROWS = 5000  # of a plain range


def configure(database: Database) -> None:
    """Let Django use the database."""
    options = conninfo_to_dict(database.conninfo)
    default = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": options.pop("dbname"),
        "OPTIONS": options,
    }
    settings.configure(DATABASES={"default": default}, USE_TZ=True)
    django.setup()


def measure(database: Database, way: str, key: Key, rows: int) -> float:
    """Return the seconds that it takes to fill the column of so many rows."""
    columns = ", ".join(f"{name} {kind}" for name, kind in key.columns.items())
    names = ", ".join(key.columns)
    database.clear()
    for sql in (
        f"CREATE TABLE part ({columns}, label text, amount integer, PRIMARY KEY ({names}))",
        f"INSERT INTO part SELECT {key.values}, 'pin', n % 1000 FROM generate_series(1, {rows}) n",  # noqa: S608
        "VACUUM ANALYZE part",
        "ALTER TABLE part ADD COLUMN size integer",
        "CHECKPOINT",
    ):
        database.connection.execute(sql.encode())
    start = time.monotonic()
    WAYS[way](database, key)
    took = time.monotonic() - start
    wrong = "SELECT count(*) FROM part WHERE size IS DISTINCT FROM amount * 10"
    if database.connection.execute(wrong).fetchone() != (0,):
        raise RuntimeError(f"{way} leaves rows")
    return took


def fill_at_once(database: Database, _: Key) -> None:
    """Send one UPDATE."""
    database.connection.execute(ONE_UPDATE)


def fill_in_plain_ranges(database: Database, key: Key) -> None:
    """Ask for the key of the last row of a range, then update the range, in a transaction each."""
    names = ", ".join(key.columns)
    after = f"({names}) > ({', '.join(['%s'] * len(key.columns))})"
    upper = (
        f"SELECT {names} FROM part WHERE {after} "  # noqa: S608 - the key's own SQL
        f"ORDER BY {names} OFFSET {RANGE_ROWS - 1} LIMIT 1"
    )
    low = key.least
    while high := database.connection.execute(upper.encode(), low).fetchone():
        update = f"{ONE_UPDATE} AND {after} AND {after.replace('>', '<=')}"
        database.connection.execute(update.encode(), [*low, *high])
        low = high
    database.connection.execute(f"{ONE_UPDATE} AND {after}".encode(), low)


def fill_by_the_operation(_: Database, key: Key) -> None:
    """Run the operation as `migrate` does."""
    fields = [(name, make()) for name, make in key.fields.items()]
    fields += [("amount", models.IntegerField()), ("size", models.IntegerField(null=True))]
    state = ProjectState()
    state.add_model(ModelState("bench", "Part", fields, {"db_table": "part"}))
    operation = operations.BackfillInBatches("part", "size", models.F("amount") * 10)
    with connection.schema_editor(atomic=False) as editor:
        operation.database_forwards("bench", editor, state, state)


PLAIN, OURS = "plain ranges", "BackfillInBatches"
WAYS: dict[str, Callable[[Database, Key], None]] = {
    "one UPDATE": fill_at_once,
    PLAIN: fill_in_plain_ranges,
    OURS: fill_by_the_operation,
}
