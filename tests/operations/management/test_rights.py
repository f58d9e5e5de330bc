"""migrate tells, before its first statement, the rights that its plan needs and the role lacks."""

import re
import secrets
from collections.abc import Iterator

import pytest

from tests.operations.projects.project import Project
from tests.operations.projects.unmigrated_project import (
    INITIAL,
    migration_names,
    run_command,
    write_migration,
)
from tests.postgres.catalog_facts import catalog_versions

SECOND = """\
from django.contrib.postgres import operations as postgres
from django.db import migrations, models

from signals import operations


class Migration(migrations.Migration):
    atomic, accept_blocking = False, True
    dependencies = [("mill", "0001_initial")]
    operations = [{operations}]
"""
ADD = "migrations.AddField('item', 'weight', models.IntegerField(null=True))"
ADD_CONVERGENT = "operations.AddColumnIfMissing('item', 'weight', models.IntegerField(null=True))"
REFER = (
    "migrations.AddField('shelf', 'of', models.ForeignKey('mill.Item', models.CASCADE, null=True))"
)
CREATE = (
    "migrations.CreateModel('Box', [('id', models.BigAutoField(primary_key=True)), "
    "('on', models.ForeignKey('mill.Shelf', models.CASCADE))])"
)
INDEX = "migrations.AddIndex('box', models.Index(fields=['on'], name='by_on'))"
MANY = "migrations.AddField('item', 'shelves', models.ManyToManyField('mill.Shelf'))"
TWO_OF_ONE = (
    "migrations.CreateModel('Crate', [('id', models.BigAutoField(primary_key=True)), "
    "('in_shelves', models.ManyToManyField('mill.Shelf'))])"
)
WORDS = "migrations.AlterField('item', 'kind', models.IntegerField(null=True, help_text='of it'))"
CHECK = (
    "operations.AddCheckIfMissing('item', models.CheckConstraint("
    "condition=models.Q(kind__gt=0), name='kind'))"
)
OWNED = 'table "mill_item" belongs to "{owner}" (mill.0002_second)'


@pytest.fixture
def mill(unmigrated_project: Project) -> Project:
    """A project with a migration that the owner of the database has applied."""
    write_migration(unmigrated_project, "0001_initial", INITIAL)
    run_command(unmigrated_project, "migrate", "-v0")
    unmigrated_project.database.run("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    return unmigrated_project


@pytest.fixture
def role(mill: Project) -> Iterator[str]:
    """A role that may read and write all rows, and change no definition."""
    name = f"app_{secrets.token_hex(4)}"
    mill.database.run(
        f"CREATE ROLE {name}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {name}",
    )
    yield name
    mill.database.run(f"DROP OWNED BY {name} CASCADE", f"DROP ROLE {name}")


def plan(project: Project, *operations: str) -> None:
    write_migration(project, "0002_second", SECOND.format(operations=", ".join(operations)))


def migrate_as(project: Project, role: str, *words: str, code: int = 0) -> str:
    """Run migrate in sessions that have the rights of the role, and return what it says."""
    url = project.database.url + f"%20-c%20role%3D{role}"
    return run_command(project, "migrate", "-v0", *words, code=code, DATABASE_URL=url)[1]


def refusal(project: Project, role: str, *words: str) -> str:
    """Return the error of a run that stops before any change."""
    before = catalog_versions(project.database)
    said = migrate_as(project, role, *words, code=3)
    assert catalog_versions(project.database) == before
    lead = f"RightsMissing: nothing was changed: role {role} lacks rights that these migrations need:\n"
    assert said.startswith(lead), said
    return said.removeprefix(lead)


def fixes(said: str) -> list[str]:
    """Return the SQL of an error; of two ways the second, which makes the role no member of another."""
    return [each.rpartition("; or ")[2] for each in re.findall(r"    to fix: (.*)\n", said)]


def owner(project: Project) -> str:
    return str(project.database.value("SELECT current_user"))


def test_all_of_them_are_told_at_once_and_are_enough_once_given(mill: Project, role: str) -> None:
    plan(mill, ADD, REFER, CREATE, INDEX, MANY)
    boss = owner(mill)
    mill.database.run(f"REVOKE INSERT ON django_migrations FROM {role}")
    said = refusal(mill, role)
    assert said == (
        "  no migration may be recorded in django_migrations\n"
        f'    to fix: GRANT SELECT, INSERT, DELETE ON "django_migrations" TO "{role}";\n'
        f"  {OWNED.format(owner=boss)}\n"
        f'    to fix: GRANT "{boss}" TO "{role}"; or ALTER TABLE "mill_item" OWNER TO "{role}";\n'
        f'  table "mill_shelf" belongs to "{boss}" (mill.0002_second)\n'
        f'    to fix: GRANT "{boss}" TO "{role}"; or ALTER TABLE "mill_shelf" OWNER TO "{role}";\n'
        '  no foreign key may refer to table "mill_item" (mill.0002_second)\n'
        f'    to fix: GRANT REFERENCES ON "mill_item" TO "{role}";\n'
        "  no table may be created in schema public (mill.0002_second)\n"
        f'    to fix: GRANT CREATE ON SCHEMA public TO "{role}";\n'
        '  no foreign key may refer to table "mill_shelf" (mill.0002_second)\n'
        f'    to fix: GRANT REFERENCES ON "mill_shelf" TO "{role}";\n'
    )
    mill.database.run(*fixes(said))
    migrate_as(mill, role)
    assert mill.database.value("SELECT to_regclass('by_on') IS NOT NULL")


@pytest.mark.parametrize(
    "operations", [[WORDS], [ADD_CONVERGENT], ["migrations.RunSQL('SELECT 1', '')"]]
)
def test_an_operation_with_nothing_to_send_needs_none(
    mill: Project, role: str, operations: list[str]
) -> None:
    plan(mill, *operations)
    mill.database.run("ALTER TABLE mill_item ADD COLUMN weight integer")
    migrate_as(mill, role)
    assert migration_names(mill) == ["0001_initial", "0002_second"]


def test_a_convergent_operation_with_something_to_send_needs_it(mill: Project, role: str) -> None:
    plan(mill, ADD_CONVERGENT)
    assert OWNED.format(owner=owner(mill)) in refusal(mill, role)


def test_an_inherited_membership_is_enough_and_one_that_is_not_is_told(
    mill: Project, role: str
) -> None:
    boss = f"{role}_boss"
    plan(mill, ADD)
    mill.database.run(
        f"CREATE ROLE {boss}",
        f"ALTER TABLE mill_item OWNER TO {boss}",
        f"ALTER ROLE {role} NOINHERIT",
        f"GRANT {boss} TO {role}",
    )
    try:
        said = refusal(mill, role)
        assert said.startswith(f"  {OWNED.format(owner=boss)}\n")
        has_inherit = (
            mill.database.value("SELECT current_setting('server_version_num')::int") >= 160_000
        )
        first = f'GRANT "{boss}" TO "{role}" WITH INHERIT TRUE'
        first = first if has_inherit else f'ALTER ROLE "{role}" INHERIT'
        assert f"    to fix: {first}; or " in said
        mill.database.run(first)
        migrate_as(mill, role)
    finally:
        mill.database.run(f"REASSIGN OWNED BY {boss} TO CURRENT_USER", f"DROP ROLE {boss}")


@pytest.mark.parametrize(
    "first",
    [
        "migrations.RunSQL('SET ROLE NONE', '')",
        (
            "migrations.RunPython(lambda apps, editor: editor.execute('SET ROLE NONE'), "
            "migrations.RunPython.noop)"
        ),
    ],
)
def test_what_comes_behind_a_change_of_the_rights_is_not_judged(
    mill: Project, role: str, first: str
) -> None:
    plan(mill, first, ADD)
    migrate_as(mill, role)


def test_what_the_plan_makes_belongs_to_the_role(mill: Project, role: str) -> None:
    plan(
        mill, CREATE, INDEX, "migrations.AlterModelTable('box', 'boxes')", INDEX.replace("by_", "")
    )
    mill.database.run(f"GRANT CREATE ON SCHEMA public TO {role}")
    mill.database.run(f"GRANT REFERENCES ON mill_shelf TO {role}")
    migrate_as(mill, role)


def test_a_drop_by_the_owner_of_the_schema_and_a_table_of_that_name_again(
    mill: Project, role: str
) -> None:
    again = "migrations.CreateModel('Item', [('id', models.BigAutoField(primary_key=True))])"
    plan(mill, "migrations.DeleteModel('item')", again, ADD)
    assert OWNED.format(owner=owner(mill)) in refusal(mill, role)
    mill.database.run(f"ALTER SCHEMA public OWNER TO {role}")
    try:
        migrate_as(mill, role)
    finally:
        mill.database.run("ALTER SCHEMA public OWNER TO CURRENT_USER")


def test_temporary_tables_are_needed_where_a_definition_is_compared(
    mill: Project, role: str
) -> None:
    plan(mill, CHECK)
    name = mill.database.name
    mill.database.run(f"REVOKE TEMPORARY ON DATABASE {name} FROM PUBLIC")
    mill.database.run("ALTER TABLE mill_item ADD CONSTRAINT kind CHECK (kind > 0)")
    said = refusal(mill, role)
    assert said == (
        "  no temporary table may be made, as a comparison needs one (mill.0002_second)\n"
        f'    to fix: GRANT TEMPORARY ON DATABASE "{name}" TO "{role}";\n'
    )
    mill.database.run(*fixes(said))
    migrate_as(mill, role)


def test_a_backfill_needs_the_rows_and_not_the_table(mill: Project, role: str) -> None:
    plan(mill, "operations.BackfillInBatches('item', 'kind', value=models.Value(1))")
    mill.database.run("INSERT INTO mill_item (name) VALUES ('bolt')")
    mill.database.run(f"REVOKE UPDATE ON mill_item FROM {role}")
    said = refusal(mill, role)
    assert said.startswith('  the rows of table "mill_item" may not be read and updated (mill.0002')
    mill.database.run(*fixes(said))
    migrate_as(mill, role)
    assert mill.database.value("SELECT kind FROM mill_item") == 1


def test_a_trusted_extension_needs_the_database(mill: Project, role: str) -> None:
    plan(mill, "postgres.TrigramExtension()")
    name = mill.database.name
    said = refusal(mill, role)
    assert said == (
        "  extension pg_trgm may not be created (mill.0002_second)\n"
        f'    to fix: GRANT CREATE ON DATABASE "{name}" TO "{role}";\n'
    )
    mill.database.run("CREATE EXTENSION pg_trgm")
    migrate_as(mill, role)


def test_the_sequence_of_old_records_and_the_way_back_are_asked_for(
    mill: Project, role: str
) -> None:
    plan(mill, WORDS)
    mill.database.run(
        "ALTER TABLE django_migrations ALTER id DROP IDENTITY",
        "CREATE SEQUENCE numbers START 1000 OWNED BY django_migrations.id",
        "ALTER TABLE django_migrations ALTER id SET DEFAULT nextval('numbers')",
        f"REVOKE DELETE ON django_migrations FROM {role}",
    )
    said = refusal(mill, role)
    assert said == (
        "  no number may be taken from sequence numbers\n"
        f'    to fix: GRANT USAGE ON SEQUENCE numbers TO "{role}";\n'
    )
    mill.database.run(*fixes(said))
    migrate_as(mill, role)
    said = refusal(mill, role, "mill", "0001")
    assert said.startswith("  no record may be deleted from django_migrations\n")
    mill.database.run(*fixes(said))
    migrate_as(mill, role, "mill", "0001")


@pytest.mark.parametrize("operation", [ADD, ADD_CONVERGENT])
def test_a_way_back_needs_the_table_if_it_changes_it(
    mill: Project, role: str, operation: str
) -> None:
    plan(mill, operation)
    run_command(mill, "migrate", "-v0")
    said = refusal(mill, role, "mill", "0001")
    assert said.startswith(f"  {OWNED.format(owner=owner(mill))}\n")
    mill.database.run(*fixes(said))
    migrate_as(mill, role, "mill", "0001")
    assert "weight" not in columns(mill)


@pytest.mark.parametrize("operation", [WORDS, ADD_CONVERGENT])
def test_a_way_back_with_nothing_to_send_needs_none(
    mill: Project, role: str, operation: str
) -> None:
    plan(mill, operation)
    run_command(mill, "migrate", "-v0")
    mill.database.run("ALTER TABLE mill_item DROP COLUMN IF EXISTS weight")
    migrate_as(mill, role, "mill", "0001")


def test_a_way_back_drops_what_the_role_owns_or_may_drop(mill: Project, role: str) -> None:
    plan(mill, CREATE, MANY)
    run_command(mill, "migrate", "-v0")
    assert f'table "mill_box" belongs to "{owner(mill)}"' in refusal(mill, role, "mill", "0001")
    mill.database.run(
        f"ALTER TABLE mill_box OWNER TO {role}", f"ALTER TABLE mill_item_shelves OWNER TO {role}"
    )
    migrate_as(mill, role, "mill", "0001")


@pytest.mark.parametrize(
    ("there", "told"),
    [
        ([MANY], "mill_item_shelves"),
        ([MANY.replace("'mill.Shelf')", "'mill.Shelf', db_table='Of Shelves')")], "Of Shelves"),
        ([TWO_OF_ONE], "mill_crate_in_shelves"),
    ],
)
def test_a_way_back_drops_the_table_of_a_many_to_many_field(
    mill: Project, role: str, there: list[str], told: str
) -> None:
    plan(mill, *there)
    run_command(mill, "migrate", "-v0")
    said = refusal(mill, role, "mill", "0001")
    assert f'  table "{told}" belongs to "{owner(mill)}" (mill.0002_second)\n' in said
    mill.database.run(*fixes(said))
    migrate_as(mill, role, "mill", "0001")


def test_a_way_back_makes_the_table_of_a_many_to_many_field_again(mill: Project, role: str) -> None:
    plan(mill, MANY)
    third = SECOND.replace("0001_initial", "0002_second")
    write_migration(
        mill, "0003_third", third.format(operations="migrations.RemoveField('item', 'shelves')")
    )
    run_command(mill, "migrate", "-v0")
    said = refusal(mill, role, "mill", "0002")
    assert set(fixes(said)) == {
        f'GRANT CREATE ON SCHEMA public TO "{role}";',
        f'GRANT REFERENCES ON "mill_item" TO "{role}";',
        f'GRANT REFERENCES ON "mill_shelf" TO "{role}";',
    }
    mill.database.run(*fixes(said))
    migrate_as(mill, role, "mill", "0002")


def columns(project: Project) -> set[str]:
    question = (
        "SELECT attname FROM pg_attribute WHERE attrelid = 'mill_item'::regclass AND attnum > 0"
    )
    return {name for (name,) in project.database.rows(question)}


def test_a_run_that_only_records_needs_no_table(mill: Project, role: str) -> None:
    plan(mill, ADD)
    migrate_as(mill, role, "--fake")


def test_an_empty_database_needs_a_schema_for_the_first_table(
    unmigrated_project: Project,
) -> None:
    write_migration(unmigrated_project, "0001_initial", INITIAL)
    role = f"app_{secrets.token_hex(4)}"
    unmigrated_project.database.run(
        f"CREATE ROLE {role}", "REVOKE CREATE ON SCHEMA public FROM PUBLIC"
    )
    said = refusal(unmigrated_project, role)
    unmigrated_project.database.run(f"DROP ROLE {role}")
    assert set(fixes(said)) == {f'GRANT CREATE ON SCHEMA public TO "{role}";'}
