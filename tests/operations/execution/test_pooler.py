"""Behind a pooler: a refusal is previewed and says what stands; a session of its own is served."""

from collections.abc import Callable

import pytest

from tests.operations.execution.invented_pid import behind_pooler
from tests.postgres.databases import Database

pytestmark = pytest.mark.usefixtures("unblocked_database")

INDEX = "idx_signals_state_created_at"
REFUSED = (
    "a pooler stands before the server, and statement_timeout = 10min would cut the statement off; "
    "the statement was not sent; what was done before it stays, and the next run continues from there. "
    "To fix: migrate over a direct connection, or as a role without these timeouts; or, if the pooler gives "
    "each client a session of its own (pool_mode = session), set SESSION_POOLER "
    "(CONVERGENT_MIGRATIONS_SESSION_POOLER=on)"
)
SERVED = {"CONVERGENT_MIGRATIONS_SESSION_POOLER": "on"}


@pytest.fixture
def database(copy: Callable[[str], Database]) -> Database:
    """The database before 0012, with rows and a timeout of the role."""
    made = copy("adopted 011")
    made.migrate("0011")
    made.run(f"ALTER DATABASE {made.name} SET statement_timeout = '10min'")
    return made


def test_what_is_refused_is_previewed_and_the_error_says_what_stands(database: Database) -> None:
    with behind_pooler(database) as url:
        shown = database.manage("migrate_preview", "signals", "0012", env={"DATABASE_URL": url})
        done = database.manage("migrate", "signals", "0012", env={"DATABASE_URL": url})
    assert (shown.returncode, shown.stderr) == (1, "")
    (stop,) = [line for line in shown.stdout.splitlines() if "stops here" in line]
    assert stop.endswith(REFUSED)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert REFUSED in done.stderr
    assert "nothing was changed" not in done.stderr
    assert database.rows("SELECT FROM pg_attribute WHERE attname = 'state' AND attnum > 0")
    assert not database.rows("SELECT FROM pg_class WHERE relname = %s", [INDEX])
    assert database.manage("migrate", "signals", "0012").returncode == 0  # it continues


def test_a_pooler_of_sessions_is_served_where_the_setting_says_so(database: Database) -> None:
    with behind_pooler(database) as url:
        env = {"DATABASE_URL": url, **SERVED}
        shown = database.manage("migrate_preview", "signals", "0012", env=env)
        done = database.manage("migrate", "signals", "0012", env=env)
    assert "stops here" not in shown.stdout
    assert (done.returncode, done.stderr) == (0, "")
    assert database.value(
        "SELECT indisvalid FROM pg_index WHERE indexrelid = %s::regclass", [INDEX]
    )


def test_without_timeouts_either_pooler_is_served(database: Database) -> None:
    database.run(f"ALTER DATABASE {database.name} RESET statement_timeout")
    with behind_pooler(database) as url:
        shown = database.manage("migrate_preview", "signals", "0012", env={"DATABASE_URL": url})
        done = database.manage("migrate", "signals", "0012", env={"DATABASE_URL": url})
    assert "stops here" not in shown.stdout
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("env", "code"), [({}, 3), (SERVED, 0)], ids=["shared", "own"])
def test_a_named_schema_is_repaired_where_the_session_is_the_clients_own(
    database: Database, env: dict[str, str], code: int
) -> None:
    database.migrate("0012")
    database.run(f"DROP INDEX {INDEX}")
    words = ("verify_schema", "signals", "--schema", "public", "--repair", "--no-input")
    with behind_pooler(database) as url:
        done = database.manage(*words, env={"DATABASE_URL": url, **env})
    assert done.returncode == code, done.stderr
    assert bool(database.rows("SELECT FROM pg_class WHERE relname = %s", [INDEX])) == (code == 0)
