"""The demo's legacy database: made once, whole or not at all, and never over somebody's tables."""

from django.core.management import CommandError
from django.db import connection, transaction

from project.demo.legacy import build, fill, fingerprint

REVISION = "011"
# Said by the comment on alembic_version, which no migration touches.
MARK = "Made by the demo of django-convergent-migrations"
# Two demos at once take turns at making it.
LOCK = 20260101
SHOWN = 5

Rows = dict[str, tuple[int, str]]


def make(rows: int, seed: int) -> bool:
    """Make the legacy database unless an earlier run did; returns whether this run did.

    One transaction: a run killed halfway leaves nothing, and the next one starts over. A database
    that holds other tables is refused, before anything is changed.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_catalog.pg_advisory_xact_lock(%s)", [LOCK])
        if _is_marked():
            return False
        if tables := _tables():
            raise CommandError(_refusal(tables), returncode=3)
        build(cursor, REVISION)
        fill(cursor, REVISION, rows, seed)
        cursor.execute(f"COMMENT ON TABLE alembic_version IS '{MARK}'")
        cursor.execute("ANALYZE")
    return True


def rows_now() -> Rows:
    """Rows and checksum of each legacy table, over the columns of revision 011."""
    with connection.cursor() as cursor:
        return fingerprint(cursor, REVISION)


def _tables() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT oid::pg_catalog.regclass::text FROM pg_catalog.pg_class"
            " WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND relnamespace NOT IN"
            " (SELECT oid FROM pg_catalog.pg_namespace"
            r" WHERE nspname LIKE 'pg\_%' OR nspname = 'information_schema') ORDER BY 1"
        )
        return [name for (name,) in cursor.fetchall()]


def _is_marked() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_catalog.obj_description(to_regclass('alembic_version'), 'pg_class') = %s",
            [MARK],
        )
        return bool(cursor.fetchone()[0])


def _refusal(tables: list[str]) -> str:
    names = ", ".join(tables[:SHOWN]) + (", …" if len(tables) > SHOWN else "")
    count = f"{len(tables)} table{'' if len(tables) == 1 else 's'}"
    way_out = (
        "make clean removes the embedded PostgreSQL with all its data"
        if connection.settings_dict["ENGINE"] == "project.embedded"
        else "name an empty database in DATABASE_URL, or unset it for the embedded PostgreSQL"
    )
    return (
        f"The database {connection.settings_dict['NAME']} holds {count} that the demo "
        f"did not make: {names}. The demo makes a legacy database only where there is nothing "
        f"({way_out})."
    )
