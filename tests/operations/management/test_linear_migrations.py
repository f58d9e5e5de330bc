"""django-linear-migrations beside this app, in both orders: max_migration.txt names the last migration."""

from pathlib import Path

import pytest

from tests.operations.projects.project import Project
from tests.operations.projects.unmigrated_project import (
    GROWN,
    INITIAL,
    SETTINGS,
    migration_names,
    migration_text,
    run_command,
    write_migration,
)

LINEAR = "django_linear_migrations"
ORDERS = {
    "behind this one": f'INSTALLED_APPS.append("{LINEAR}")\n',
    "in front of this one": f'INSTALLED_APPS.insert(0, "{LINEAR}")\n',
}
MAKE = ("makemigrations", "mill", "--no-input", "-v0")
# An order stays Django's operation, and in a migration of its own.
FURTHER = """    shelf = models.ForeignKey(Shelf, models.CASCADE, null=True)

    class Meta:
        order_with_respect_to = "shelf"
        indexes = [models.Index(fields=["kind"], name="item_kind")]
"""


@pytest.fixture(params=ORDERS.values(), ids=ORDERS)
def linear(unmigrated_project: Project, request: pytest.FixtureRequest) -> Project:
    (unmigrated_project.folder / "stock_settings.py").write_text(SETTINGS + request.param)
    write_migration(unmigrated_project, "0001_initial", INITIAL)
    run_command(unmigrated_project, "create_max_migration_files", "mill")
    assert last(unmigrated_project) == "0001_initial\n"
    return unmigrated_project


def last_file(project: Project) -> Path:
    return project.folder / "mill/migrations/max_migration.txt"


def last(project: Project) -> str:
    return last_file(project).read_text()


def declare(project: Project, models: str) -> None:
    (project.folder / "mill/models.py").write_text(models)


def assert_linear(project: Project) -> None:
    """Fail unless the file names the last migration, and both apps' checks find nothing."""
    assert last(project) == f"{migration_names(project)[-1]}\n"
    assert run_command(project, "check")[1] == ""


def test_each_written_migration_is_named_also_if_there_are_several(linear: Project) -> None:
    declare(linear, GROWN)
    run_command(linear, *MAKE, "--convergent", "-n", "more")
    assert "operations.AddColumnIfMissing(" in migration_text(linear, "0002_more")
    assert_linear(linear)
    declare(linear, GROWN + FURTHER)
    run_command(linear, *MAKE, "--convergent")
    assert len(migration_names(linear)) > 3
    assert_linear(linear)
    run_command(linear, "migrate", "-v0")
    assert run_command(linear, *MAKE, "--check")[0] == ""


def test_without_convergent_operations_it_is_named_too(linear: Project) -> None:
    declare(linear, GROWN)
    run_command(linear, *MAKE, "--dry-run")
    assert last(linear) == "0001_initial\n"
    run_command(linear, *MAKE, "-n", "more")
    assert "migrations.AddField(" in migration_text(linear, "0002_more")
    assert_linear(linear)


def test_a_migration_that_is_rewritten_and_divided_stays_the_last(linear: Project) -> None:
    declare(linear, GROWN + FURTHER)
    run_command(linear, *MAKE, "-n", "grown")
    run_command(linear, "convergent_migration", "mill", "0002")
    assert len(migration_names(linear)) > 2
    assert last(linear) == "0002_grown\n"
    assert run_command(linear, "check")[1] == ""
    run_command(linear, "migrate", "-v0")


def test_a_written_migration_is_rebased_onto_another(linear: Project) -> None:
    declare(linear, GROWN)
    run_command(linear, *MAKE, "--convergent", "-n", "ours")
    text = migration_text(linear, "0002_ours").replace("more", "of_theirs")
    write_migration(linear, "0002_theirs", text)
    conflict = "<<<<<<< HEAD\n0002_theirs\n=======\n0002_ours\n>>>>>>> ours\n"
    last_file(linear).write_text(conflict)
    assert "max_migration.txt" in run_command(linear, "rebase_migration", "mill")[0]
    assert migration_names(linear) == ["0001_initial", "0002_theirs", "0003_ours"]
    assert_linear(linear)
    run_command(linear, "migrate", "-v0")
    columns = linear.database.rows(
        "SELECT attname FROM pg_attribute WHERE attrelid = 'mill_item'::regclass AND attnum > 3"
    )
    assert columns == [("of_theirs",), ("more",)]


def test_a_squash_of_convergent_migrations_is_the_last(linear: Project) -> None:
    declare(linear, GROWN)
    run_command(linear, *MAKE, "--convergent", "-n", "more")
    run_command(linear, "squashmigrations", "mill", "0002", "--no-input", "-v0")
    (squash,) = [name for name in migration_names(linear) if "squashed" in name]
    assert last(linear) == f"{squash}\n"
    assert run_command(linear, "check")[1] == ""
