"""Reading what a run has written, and changing the database behind its back."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import connection

from signals.models import Signal, SignalEvent, SignalVerification


def stored(signal: Signal) -> tuple[str, datetime | None, Decimal | None]:
    """Return what the job can change of a signal: state, onchain_asof_ts, onchain_confidence."""
    return Signal.objects.values_list("state", "onchain_asof_ts", "onchain_confidence").get(
        pk=signal.pk
    )


def verdicts(signal: Signal) -> list[tuple[str, str]]:
    """Return decision and note of the signal's verdicts, oldest first."""
    return list(
        SignalEvent.objects.filter(signal=signal).order_by("pk").values_list("decision", "note")
    )


def verification(signal: Signal) -> SignalVerification:
    """Return the signal's row of signal_verifications."""
    return SignalVerification.objects.get(pk=signal.pk)


def execute(*statements: str) -> None:
    """Run SQL statements, as somebody at psql would."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # a pending check forbids ALTER TABLE
        for statement in statements:
            cursor.execute(statement)


def contents(tables: Iterable[str]) -> list[Any]:
    """Return every row of the tables with its ctid and xmin, and the last value of every sequence."""
    found: list[Any] = []
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"SELECT '{table}', ctid::text, xmin::text, t::text FROM {table} t")
            found += sorted(cursor.fetchall())
        cursor.execute("SELECT sequencename, last_value FROM pg_sequences ORDER BY 1")
        return [*found, *cursor.fetchall()]


def refuse(table: str, column: str, signal: Signal) -> None:
    """Make every write of that signal's row in the table fail, by a trigger."""
    execute(
        f"CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF NEW.{column} = {signal.pk} THEN RAISE 'no %', repeat('x', 1000); END IF; "
        f"RETURN NEW; END $$",
        f"CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON {table} "
        f"FOR EACH ROW EXECUTE FUNCTION refuse()",
    )
