"""Which sessions are in the way, and how they are told."""

import psycopg
import pytest
from django.db import connection

from signals.operations.catalog.sessions import Blocker, lock_holders
from signals.operations.statements import Lock
from tests.operations.scratch_schema import conninfo
from tests.postgres.databases import new_database

pytestmark = pytest.mark.usefixtures("committing_connection")


def test_a_session_of_another_database_is_no_blocker() -> None:
    """Databases made from one template share the numbers of their tables."""
    with new_database() as first:
        with psycopg.connect(first, autocommit=True) as session:
            session.execute("CREATE TABLE part (id bigint)")
        name = psycopg.conninfo.conninfo_to_dict(first)["dbname"]
        with psycopg.connect(conninfo(), autocommit=True) as server:
            server.execute(f"CREATE DATABASE {name}_copy TEMPLATE {name}")  # type: ignore[arg-type]
        other = connection.copy()
        other.settings_dict = {**connection.settings_dict, "NAME": name}
        try:
            with psycopg.connect(conninfo(), dbname=f"{name}_copy") as holder:
                holder.execute("LOCK TABLE part IN ACCESS SHARE MODE")
                assert lock_holders(other, ['"part"'], Lock.ACCESS_EXCLUSIVE.conflicts) == ()
        finally:
            other.close()
            with psycopg.connect(conninfo(), autocommit=True) as server:
                server.execute(f"DROP DATABASE {name}_copy WITH (FORCE)")  # type: ignore[arg-type]


def test_a_prepared_transaction_is_told_from_a_session() -> None:
    assert str(Blocker(0, None, None, None, None, None)) == (
        "a prepared transaction (pg_catalog.pg_prepared_xacts has its name)"
    )
