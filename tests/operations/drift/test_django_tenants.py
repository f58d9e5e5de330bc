"""verify_schema in a project of django-tenants."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.operations.projects.project import Project
from tests.operations.projects.tenants_project import MAKE, write_tenants_project
from tests.postgres.databases import Database


@pytest.fixture
def tenants(tmp_path: Path, unblocked_database: None) -> Iterator[Project]:
    write_tenants_project(tmp_path)
    made = Project(tmp_path, Database.new())
    yield made
    made.database.drop()


def test_tenants_are_judged_and_repaired_in_their_own_schemas(tenants: Project) -> None:
    for words in (
        ("makemigrations", "-v0", "customers", "things"),
        ("migrate_schemas", "--shared", "-v0"),
        ("shell", "--no-imports", "-c", MAKE),
    ):
        done = tenants.manage(*words)
        assert done.returncode == 0, done.stderr
    tenants.psql(
        "DROP TABLE tenant_b.things_thing; ALTER TABLE tenant_a.things_thing ADD extra int"
    )
    table = ("table", "things_thing", "missing")
    assert tenants.not_as_declared() == set()
    assert tenants.not_as_declared("--schema", "tenant_b") == {table}
    assert tenants.not_as_declared("--schema", "tenant_a") == {("column", "extra", "undeclared")}
    done = tenants.verify("--schemas", "tenant%")
    assert done.returncode == 1
    assert "default, 2 schemas like tenant%: 1 right, 1 not" in done.stdout
    done = tenants.verify("--schemas", "tenant%", "--repair", "--no-input", "--jobs", "2")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (0, "tenant_b: repaired")
    assert tenants.not_as_declared("--schema", "tenant_b") == set()
