"""A rewritten history takes hardly more round trips than the one that Django's operations make."""

from tests.operations.drift.round_trips import counting_relay
from tests.operations.projects.project import Project
from tests.operations.projects.rewritten_project import (
    REWRITTEN,
    STOCK,
    run,
    write_rewritten_project,
)
from tests.postgres.databases import Database

AT_MOST = 1.3


def migrated(project: Project, settings: str) -> tuple[int, int]:
    """Return the numbers of tables and of round trips of `migrate` on an empty database."""
    database = Database.new()
    try:
        with counting_relay(database) as (relay, _):
            run(project, settings, "migrate", "-v0", DATABASE_URL=relay.url)
            tables = database.value("SELECT count(*) FROM pg_class WHERE relkind = 'r'")
            return tables, relay.round_trips
    finally:
        database.drop()


def test_a_rewritten_history(unmigrated_project: Project) -> None:
    write_rewritten_project(unmigrated_project)
    texts = [path.read_text() for path in unmigrated_project.folder.glob("histories/*/0*.py")]
    assert sum("operations.CreateTableIfMissing(" in text for text in texts) > 15
    assert sum("atomic = False" in text for text in texts) > 30
    stock, rewritten = (migrated(unmigrated_project, each) for each in (STOCK, REWRITTEN))
    assert rewritten[0] == stock[0]
    assert rewritten[1] <= AT_MOST * stock[1], (rewritten, stock)
