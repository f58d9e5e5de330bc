"""manage.py check --database: what the migrations to come would do to others on tables that stand."""

from tests.operations.projects.project import Project
from tests.operations.projects.unmigrated_project import INITIAL, run_command, write_migration

SECOND = """\
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("mill", "0001_initial")]
    atomic = False
    operations = [
        migrations.AddField("item", "more", models.IntegerField(null=True)),
        migrations.AddField("item", "code", models.IntegerField(null=True, unique=True)),
        migrations.AddField("item", "shelf", models.ForeignKey("mill.shelf", models.CASCADE, null=True)),
        migrations.AlterField("shelf", "code", models.CharField(max_length=10, help_text="x")),
        migrations.AlterField("shelf", "code", models.CharField(max_length=10, null=True, default="")),
        migrations.AlterField("item", "kind", models.BigIntegerField(null=True)),
        migrations.RenameModel("Item", "Thing"),
        AddIndexConcurrently("thing", models.Index(fields=["kind"], name="beside")),
        migrations.AddIndex("thing", models.Index(fields=["kind"], name="thing_kind")),
        migrations.AddConstraint(
            "thing", models.CheckConstraint(condition=models.Q(kind__gt=0), name="thing_check")),
        migrations.AddConstraint("thing", models.UniqueConstraint(fields=["kind"], name="thing_key")),
        migrations.AlterUniqueTogether("thing", {("kind", "code")}),
        migrations.CreateModel("New", [("id", models.BigAutoField(primary_key=True))]),
        migrations.AddField("new", "x", models.IntegerField(null=True, db_index=True)),
        migrations.RemoveIndex("thing", "beside"),
        migrations.RemoveField("thing", "more"),
        migrations.RunPython(migrations.RunPython.noop),
    ]
"""

FOUND = [
    "Add field code to item: nobody reads or writes while the index is built",
    "Add field shelf to item: nobody reads or writes while its foreign key is checked and its index built",
    "Alter field kind on item: nobody reads or writes while the table or its indexes are rewritten",
    "Alter unique_together for thing (1 constraint(s)): nobody reads or writes while the index is built",
    "Create constraint thing_check on model thing: nobody reads or writes while the rows are scanned",
    "Create constraint thing_key on model thing: nobody reads or writes while the index is built",
    "Create index thing_kind on field(s) kind of model thing: writers wait while the index is built",
    (
        "Remove index beside from thing: nobody reads or writes while it waits for its lock, "
        "and then until the end of the transaction"
    ),
]
HINT = (
    "\tHINT: Write operations.CreateIndexConcurrentlyIfMissing(model_name='thing', "
    "index=models.Index(fields=['kind'], name='thing_kind')), and atomic = False (`manage.py "
    "convergent_migration mill 0002_second` writes it; accept_blocking = True on the migration keeps it)."
)
BEFORE = "mill.0002_second: (convergent_migrations.W003) "
CHECK = ("check", "--database", "default")


def warned(build_is_awaited: str) -> list[str]:
    return [
        line.removeprefix(BEFORE)
        for line in build_is_awaited.splitlines()
        if line.startswith(BEFORE)
    ]


def test_what_is_to_come_on_tables_that_stand_is_warned_of_and_stops_nothing(
    unmigrated_project: Project,
) -> None:
    write_migration(unmigrated_project, "0001_initial", INITIAL)
    write_migration(unmigrated_project, "0002_second", SECOND)
    clean = ("System check identified no issues (0 silenced).\n", "")
    assert run_command(unmigrated_project, *CHECK) == clean  # an empty database
    run_command(
        unmigrated_project, "migrate", "contenttypes", "0001", "-v0"
    )  # whose 0002 is no concern of the project
    run_command(unmigrated_project, "migrate", "mill", "0001", "-v0")
    assert run_command(unmigrated_project, "check") == clean  # no database is named
    _, told = run_command(unmigrated_project, *CHECK)
    assert warned(told) == FOUND
    assert HINT in told.splitlines()
    write_migration(
        unmigrated_project,
        "0002_second",
        SECOND.replace("atomic", "accept_blocking = True\n    atomic"),
    )
    assert run_command(unmigrated_project, *CHECK) == clean
    write_migration(unmigrated_project, "0002_second", SECOND)
    _, told = run_command(unmigrated_project, "convergent_migration", "mill", "0002")
    assert told.count("stays as it is") == 1
    assert run_command(unmigrated_project, *CHECK) == clean
    write_migration(unmigrated_project, "0002_second", SECOND)
    _, told = run_command(unmigrated_project, "migrate", "-v0")
    assert warned(told) == FOUND
    assert run_command(unmigrated_project, *CHECK) == clean


THIRD = """\
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("mill", "0001_initial")]
    operations = [
        migrations.AddIndex("away", models.Index(fields=["x"], name="away_x")),
        migrations.AddIndex("chosen", models.Index(fields=["x"], name="chosen_x")),
        migrations.AlterField("item", "name", models.CharField(max_length=11, null=True)),
        migrations.AlterField("item", "price", models.DecimalField(max_digits=6, decimal_places=2)),
        migrations.SeparateDatabaseAndState(
            [migrations.AddIndex("item", models.Index(fields=["kind"], name="apart"))],
            [migrations.AddIndex("item", models.Index(fields=["kind"], name="apart"))],
        ),
        migrations.AlterField("item", "name", models.CharField(max_length=10, null=True)),
        migrations.AlterField("item", "price", models.DecimalField(max_digits=6, decimal_places=3)),
    ]
"""
TABLES = """\
        migrations.CreateModel(
            "Away", [("id", models.AutoField(primary_key=True)), ("x", models.IntegerField())],
            options={"managed": False}),
        migrations.CreateModel(
            "Chosen", [("id", models.AutoField(primary_key=True)), ("x", models.IntegerField())],
            options={"swappable": "MILL_CHOSEN"}),
        migrations.AddField("item", "price", models.DecimalField(max_digits=5, decimal_places=2)),
    ]
"""


def test_tables_that_are_not_touched_and_columns_that_grow_are_no_warning(
    unmigrated_project: Project,
) -> None:
    settings = unmigrated_project.folder / "stock_settings.py"
    settings.write_text(settings.read_text() + 'MILL_CHOSEN = "inn.Room"\n')
    write_migration(unmigrated_project, "0001_initial", INITIAL.replace("    ]\n", TABLES))
    write_migration(unmigrated_project, "0002_second", THIRD)
    run_command(unmigrated_project, "migrate", "mill", "0001", "-v0", "--skip-checks")
    _, told = run_command(unmigrated_project, *CHECK)
    assert warned(told) == [
        "Alter field name on item: nobody reads or writes while the table or its indexes are rewritten",
        "Alter field price on item: nobody reads or writes while the table or its indexes are rewritten",
        "Create index apart on field(s) kind of model item: writers wait while the index is built",
    ]


def test_migrations_that_cannot_be_loaded_or_do_not_fit_break_no_check(
    unmigrated_project: Project,
) -> None:
    write_migration(unmigrated_project, "0001_initial", INITIAL)
    run_command(unmigrated_project, "migrate", "mill", "0001", "-v0")
    clean = ("System check identified no issues (0 silenced).\n", "")
    unfit = (
        "from django.db import migrations, models\nfrom signals import operations\n"
        "class Migration(migrations.Migration):\n"
        "    dependencies = [('mill', '0001_initial')]\n"
        "    operations = [operations.AlterColumnTypeIfDifferent("
        "'gone', 'x', models.IntegerField(unique=True))]\n"
    )
    for source in ("import nothing_there\n", "x = (\n", "1 / 0\n", unfit):
        write_migration(unmigrated_project, "0002_second", source)
        assert run_command(unmigrated_project, "check") == clean
        assert run_command(unmigrated_project, *CHECK) == clean


def test_the_check_heeds_what_lint_migrations_heeds(unmigrated_project: Project) -> None:
    """A comment that accepts a rule, and a rule that the settings turn off."""
    clean = ("System check identified no issues (0 silenced).\n", "")
    second = SECOND.replace(
        "        migrations.AddIndex(",
        "        # lint: accept L101 a small table\n        migrations.AddIndex(",
    )
    write_migration(unmigrated_project, "0001_initial", INITIAL)
    write_migration(unmigrated_project, "0002_second", second)
    run_command(unmigrated_project, "migrate", "mill", "0001", "-v0", "--skip-checks")
    _, told = run_command(unmigrated_project, *CHECK)
    assert warned(told) == [line for line in FOUND if not line.startswith("Create index")]
    settings = unmigrated_project.folder / "stock_settings.py"
    limits = "CONVERGENT_MIGRATIONS['LIMIT_EVERY_STATEMENT'] = {}\n"
    settings.write_text(settings.read_text() + limits.format(False))
    _, told = run_command(unmigrated_project, *CHECK)
    queueing = "while it waits for its lock, every other session queues behind it"
    assert [line for line in warned(told) if line.endswith(queueing)] == [
        f"Add field more to item: {queueing}",
        f"Remove field more from thing: {queueing}",
    ]
    settings.write_text(settings.read_text() + limits.format(True))
    levels = dict.fromkeys(("L102", "L105", "L106", "L108", "L110"), "off")
    settings.write_text(
        settings.read_text() + f"CONVERGENT_MIGRATIONS['LINT'] = {{'RULES': {levels}}}\n"
    )
    assert run_command(unmigrated_project, *CHECK) == clean
    settings.write_text(settings.read_text().replace("'off'", "'of'"))
    _, told = run_command(unmigrated_project, *CHECK)
    assert (
        len(warned(told)) == len(FOUND) - 1
    )  # lint_migrations tells what is wrong in the settings
