"""Schemas of one database in each of which a project is migrated."""

from collections.abc import Iterable
from urllib.parse import quote

from signals.operations.catalog.query import quoted
from tests.operations.projects.project import Project
from tests.operations.projects.unmigrated_project import run_command

ODD = 'tenant "ü".x'
NAMES = ("tenant_a", "tenant_b", ODD, "tenant_d")


def migrate_schemas(project: Project, names: Iterable[str] = NAMES) -> None:
    """Make the schemas, and migrate the project in each of them."""
    for name in names:
        project.database.run(f"CREATE SCHEMA {quoted(name)}")
        run_command(project, "migrate", "-v0", DATABASE_URL=url_within(project, name))


def url_within(project: Project, name: str) -> str:
    """Return the URL of the database whose sessions work in the schema."""
    path = quoted(name).replace(" ", "\\ ")
    return project.database.url + quote(f" -c search_path={path}")


def within(name: str, sql: str) -> str:
    """Return the SQL as a script that works in the schema."""
    return f"SET search_path TO {quoted(name)}; {sql};"
