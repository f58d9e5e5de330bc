"""manage.py convergent_migration: a file is rewritten where its operations stand, or not at all."""

from tests.operations.projects.project import Project
from tests.operations.projects.unmigrated_project import (
    INITIAL,
    migration_names,
    migration_text,
    run_command,
    write_migration,
)

# By hand: comments, a function, an alias, another base, another module that is called operations.
MIXED = '''\
"""A migration by hand."""

from django.contrib.postgres import operations
from django.contrib.postgres.operations import AddIndexConcurrently as Beside
from django.db import migrations, models

FACTOR = 7  # seven


# What fills the kinds.
def fill(apps, schema_editor):
    apps.get_model("mill", "Item").objects.update(kind=FACTOR)


class Base(migrations.Migration):
    pass


class Migration(Base):
    """Its promise."""

    run_before = [("inn", "0001_initial")]

    dependencies = [
        # the first
        ("mill", "0001_initial"),
    ]

    operations = [
        operations.BtreeGinExtension(),
        # a column with more
        migrations.AddField(
            model_name="item",
            name="more",
            field=models.IntegerField(null=True),  # nothing as yet
        ),  # so much for more
        migrations.RunPython(fill, migrations.RunPython.noop),
        # then the column closes
        migrations.AlterField("item", "name", models.TextField(default="x")),
        migrations.SeparateDatabaseAndState(
            [migrations.AddIndex("item", models.Index(fields=["kind"], name="item_kind"))],
            [migrations.AddIndex("item", models.Index(fields=["kind"], name="item_kind"))],
        ),
        # last words
    ]
'''.replace("AddIndexConcurrently as Beside\n", "AddIndexConcurrently as Beside  # noqa: F401\n")

COLUMN, CODE, REST = "0002_create_extension_btree_gin_item_more", "0002_before_mixed", "0002_mixed"

COLUMN_TEXT = '''\
"""A migration by hand."""

from django.contrib.postgres import operations
from django.contrib.postgres.operations import AddIndexConcurrently as Beside  # noqa: F401
from django.db import migrations, models
from signals import operations as convergent


class Base(migrations.Migration):
    pass


class Migration(Base):
    """Its promise."""

    atomic = False

    dependencies = [
        # the first
        ("mill", "0001_initial"),
    ]

    operations = [
        operations.BtreeGinExtension(),
        # a column with more
        convergent.AddColumnIfMissing(
            model_name="item",
            name="more",
            field=models.IntegerField(null=True),  # nothing as yet
        ),  # so much for more
        # last words
    ]
'''

ROOM = """
from django.db import migrations, models

class Migration(migrations.Migration):
    dependencies = [("mill", "0002_mixed")]
    operations = [migrations.CreateModel("Room", [("id", models.BigAutoField(primary_key=True))])]
"""

ODD = """\
from django.contrib.postgres import operations
from django.db import migrations, models

FIELD = models.IntegerField(null=True)
convergent = None


def add(name):
    return migrations.AddField("item", name, FIELD)


class Migration(migrations.Migration):
    dependencies = [("mill", "0001_initial")]
    operations = {operations}
"""
PLAIN = ODD.replace("from django.contrib.postgres import operations\n", "").replace(
    "convergent = None\n", ""
)
CHECK = "CHECK = models.CheckConstraint(condition=models.Q(kind=1), name='c')\n"
TWO_STEPS = """[
        operations.AddConstraintNotValid("item", CHECK),
        # and now
        operations.ValidateConstraint("item", "c"),
    ]"""


def test_a_migration_by_hand_keeps_all_that_is_no_operation_in_three_parts(
    unmigrated_project: Project,
) -> None:
    write_migration(unmigrated_project, "0001_initial", INITIAL)
    write_migration(unmigrated_project, "0002_mixed", MIXED)
    write_migration(unmigrated_project, "0001_initial", ROOM, "inn")
    out, told = run_command(unmigrated_project, "convergent_migration", "mill", "0002", "--dry-run")
    assert told == (
        "mill.0002_mixed: Creates extension btree_gin: stays as it is, "
        "it is one short statement, which may be sent again\n"
        "mill.0002_mixed: Raw Python operation: stays as it is, "
        "its effect is unknown (BackfillInBatches fills a column)\n"
    )
    assert migration_names(unmigrated_project) == ["0001_initial", "0002_mixed"]
    assert migration_text(unmigrated_project, "0002_mixed") == MIXED

    written, _ = run_command(unmigrated_project, "convergent_migration", "mill", "0002")
    folder = unmigrated_project.folder / "mill/migrations"
    assert written.splitlines() == [f"{folder / name}.py" for name in (COLUMN, CODE, REST)]
    assert out == "".join(
        f"# {folder / name}.py\n{migration_text(unmigrated_project, name)}"
        for name in (COLUMN, CODE, REST)
    )
    assert sorted(path.name for path in folder.iterdir() if path.suffix != ".pyc") == [
        "0001_initial.py",
        *sorted(f"{name}.py" for name in (COLUMN, CODE, REST)),
        "__init__.py",
    ]
    assert migration_text(unmigrated_project, COLUMN) == COLUMN_TEXT
    code = migration_text(unmigrated_project, CODE)
    assert "FACTOR = 7  # seven\n\n\n# What fills the kinds.\ndef fill(apps" in code
    assert f"dependencies = [('mill', '{COLUMN}')]" in code
    assert "run_before" not in code
    assert "atomic" not in code
    rest = migration_text(unmigrated_project, REST)
    assert f"dependencies = [('mill', '{CODE}')]" in rest
    assert 'run_before = [("inn", "0001_initial")]' in rest
    assert (
        '        convergent.SetNotNullIfNullable("item", "name", models.TextField(default="x")),'
        in rest
    )
    assert '[convergent.CreateIndexConcurrentlyIfMissing("item"' in rest
    assert '[migrations.AddIndex("item"' in rest
    assert "fill" not in rest.replace("Backfill", "")

    out, told = run_command(unmigrated_project, "convergent_migration", "mill", "0001")
    source = migration_text(unmigrated_project, "0001_initial")
    assert source == INITIAL.replace(
        "migrations.CreateModel(", "operations.CreateTableIfMissing("
    ).replace("models\n", "models\nfrom signals import operations\n", 1)
    out, told = run_command(unmigrated_project, "convergent_migration", "mill", "0001")
    assert (out, told) == ("Nothing to convert in mill.0001_initial.\n", "")

    run_command(unmigrated_project, "migrate", "mill", "0001", "-v0")
    unmigrated_project.database.run("INSERT INTO mill_item (name) VALUES (NULL)")
    run_command(unmigrated_project, "migrate", "mill", REST, "-v0")
    unmigrated_project.database.run(  # a run that is killed in the middle
        f"DELETE FROM django_migrations WHERE name = '{REST}'",
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'item_kind'::regclass",
    )
    run_command(unmigrated_project, "migrate", "-v0")
    assert unmigrated_project.database.rows("SELECT name, kind, more FROM mill_item") == [
        ("x", 7, None)
    ]
    run_command(unmigrated_project, "verify_schema", "--strict")
    _, told = run_command(unmigrated_project, "convergent_migration", "mill", "0001", code=2)
    assert told == (
        "CommandError: mill.0001_initial is applied in the database 'default', so it is not "
        "rewritten (unapply it there, or write a new migration)\n"
    )
    unmigrated_project.database.run("DELETE FROM mill_item")
    run_command(unmigrated_project, "migrate", "mill", "zero", "-v0")


def test_what_cannot_be_edited_is_left_whole_with_what_to_change(
    unmigrated_project: Project,
) -> None:
    write_migration(unmigrated_project, "0001_initial", INITIAL)
    for source, reason in {
        PLAIN.format(operations="[add(name) for name in ('a', 'b')]"): (
            "operations is not a list that is written out"
        ),
        PLAIN.format(operations="[add('a')]"): "AddField is not written as a call of its class",
        ODD.format(operations="[migrations.AddField('item', 'a', FIELD)]"): (
            "operations and convergent are both names of something else in it"
        ),
        PLAIN.format(operations="[migrations.AddField('item', 'a', FIELD)]")
        + "    operations = operations + [add('b')]\n": "the class assigns operations more than once",
        PLAIN.replace(
            "FIELD =",
            CHECK + "FIELD =",
        )
        .replace(
            "from django.db", "from django.contrib.postgres import operations\nfrom django.db", 1
        )
        .format(operations=TWO_STEPS): "the comment '# and now' would be lost",
        PLAIN.format(operations="[migrations.AddField('item', 'a', FIELD)]")
        + "    assert operations[0].__class__ is migrations.AddField\n": (
            "its text, edited, would fail: AssertionError()"
        ),
    }.items():
        write_migration(unmigrated_project, "0002_odd", source)
        out, told = run_command(unmigrated_project, "convergent_migration", "mill", "0002", code=1)
        assert told == (
            f"CommandError: mill.0002_odd is left as it is: {reason} (change it by hand as above)\n"
        )
        lines = out.splitlines()
        assert lines[:2] == ["--- 0002_odd.py", "+++ 0002_odd.py"]
        assert [line for line in lines if line.startswith(("-m", "-d", "+o"))]
        assert migration_text(unmigrated_project, "0002_odd") == source


def test_wrong_words_and_what_is_not_the_projects_are_refused(unmigrated_project: Project) -> None:
    write_migration(unmigrated_project, "0001_initial", INITIAL)
    write_migration(unmigrated_project, "0002_mixed", MIXED)
    write_migration(unmigrated_project, "0001_initial", ROOM, "inn")
    squash = INITIAL.replace(
        "    initial = True\n",
        "    replaces = [('mill', '0001_initial'), ('mill', '0002_mixed')]\n",
    )
    write_migration(unmigrated_project, "0001_squashed", squash)
    for words, told in {
        ("nowhere", "0001"): "the app 'nowhere' has no migrations",
        ("mill", "0007"): (
            "'0007' names no single migration of mill (use one of 0001_initial, 0001_squashed, "
            "0002_mixed)"
        ),
        (
            "mill",
            "0002",
            "--database",
            "other",
        ): "there is no database 'other' (use one of default)",
        ("contenttypes", "0001"): "contenttypes.0001_initial belongs to an installed package",
        ("mill", "0002"): (
            "mill.0002_mixed would have to be split into 3 migrations, and is a squash or part of "
            "one (convert before squashing, or split it by hand)"
        ),
    }.items():
        _, err = run_command(unmigrated_project, "convergent_migration", *words, code=2)
        assert err.splitlines()[-1] == f"CommandError: {told}"
    run_command(unmigrated_project, "convergent_migration", "mill", "0001_squashed")
    assert "replaces = [('mill', '0001_initial'), ('mill', '0002_mixed')]" in migration_text(
        unmigrated_project, "0001_squashed"
    )
    gone = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing"}
    _, err = run_command(
        unmigrated_project, "convergent_migration", "mill", "0001_i", "--dry-run", **gone
    )
    assert err.startswith("the database 'default' cannot be asked: ")
    _, err = run_command(
        unmigrated_project,
        "convergent_migration",
        "mill",
        "0001_i",
        "--database",
        "default",
        code=4,
        **gone,
    )
    assert err.startswith("CommandError: the database 'default' cannot be asked: ")
    (unmigrated_project.folder / "mill/migrations/0001_initial.py").unlink()
    (unmigrated_project.folder / "mill/migrations/0001_squashed.py").unlink()
    _, err = run_command(unmigrated_project, "convergent_migration", "mill", "0002", code=3)
    assert "nonexistent parent node" in err
    assert err.startswith("CommandError: ")
    assert (
        "Traceback" in run_command(unmigrated_project, "makemigrations", code=1)[1]
    )  # Django's own words, not the check's


ONE_LINE = (
    "from django.db import migrations, models\n"
    "class Migration(migrations.Migration): dependencies = [('mill', '0001_initial')]; operations = ["
    "migrations.AddField('item', 'more', models.IntegerField(null=True))]\n"
)
# Two parts, of which either leaves out the half of a line.
LOST = (
    "from django.db import migrations, models\n\n"
    "class Migration(migrations.Migration):\n"
    "    initial = True; run_before = [('inn', '0001_initial')]\n"
    "    dependencies = [('mill', '0001_initial')]\n"
    "    operations = [\n"
    "        migrations.AddField('item', 'more', models.IntegerField(null=True)),\n"
    "        migrations.RunSQL('SELECT 1'),\n"
    "    ]\n"
)
TABS = (
    "from django.db import migrations, models\n\n"
    "class Migration(migrations.Migration):\n"
    "\tdependencies = [('mill', '0001_initial')]\n"
    "\toperations = [\n"
    "\t\tmigrations.AddField('item', 'ö', models.IntegerField(null=True)),\r\n"
    "\t\tmigrations.AlterField('item', 'name', models.TextField(default='x')),\n"
    "\t]\n"
)
TABS_AFTER = (
    "from django.db import migrations, models\n"
    "from signals import operations\n\n"
    "class Migration(migrations.Migration):\n"
    "\tatomic = False\n"
    "\tdependencies = [('mill', '0001_initial')]\n"
    "\toperations = [\n"
    "\t\toperations.AddColumnIfMissing('item', 'ö', models.IntegerField(null=True)),\r\n"
    "\t\toperations.AlterColumnTypeIfDifferent(\n"
    "\t\t    model_name='item',\n"
    "\t\t    name='name',\n"
    "\t\t    field=models.TextField(default='x', null=True),\n"
    "\t\t    altered_later=True,\n"
    "\t\t),\n"
    "\t\toperations.BackfillInBatches(\n"
    "\t\t    model_name='item',\n"
    "\t\t    name='name',\n"
    "\t\t    value=models.Value('x'),\n"
    "\t\t),\n"
    "\t\toperations.SetNotNullIfNullable('item', 'name', models.TextField(default='x')),\n"
    "\t]\n"
)


def test_tabs_and_mixed_ends_of_lines_stay_and_what_would_be_lost_with_a_line_is_not(
    unmigrated_project: Project,
) -> None:
    write_migration(unmigrated_project, "0001_initial", INITIAL)
    write_migration(
        unmigrated_project, "0001_initial", ROOM.replace("0002_mixed", "0001_initial"), "inn"
    )
    path = unmigrated_project.folder / "mill" / "migrations" / "0002_odd.py"
    path.write_text(TABS, encoding="utf-8", newline="")
    run_command(unmigrated_project, "convergent_migration", "mill", "0002", PATH="")
    assert path.read_bytes().decode() == TABS_AFTER
    for source, reason in {
        ONE_LINE: "its text, edited, would be no Python",
        LOST: "would have other dependencies than it is to have",
    }.items():
        path.write_text(source, encoding="utf-8", newline="")
        _, told = run_command(unmigrated_project, "convergent_migration", "mill", "0002", code=1)
        assert reason in told
        assert path.read_bytes().decode() == source
        assert migration_names(unmigrated_project) == ["0001_initial", "0002_odd"]


PARTED = """
from django.db import migrations, models

def fill(apps, schema_editor):
    pass

class Migration(migrations.Migration):
    dependencies = [("mill", "0001_initial")]
    operations = [
        migrations.RunPython(fill),
        migrations.AddField("item", "more", models.IntegerField(null=True)),
    ]
"""
AGAIN = """
from importlib import import_module
from django.db import migrations

fill = import_module("mill.migrations.0002_fill").fill

class Migration(migrations.Migration):
    dependencies = [("mill", "0002_fill")]
    operations = [migrations.RunPython(fill)]
"""


def test_a_function_that_another_migration_takes_from_the_file_does_not_leave_it(
    unmigrated_project: Project,
) -> None:
    write_migration(unmigrated_project, "0001_initial", INITIAL)
    write_migration(unmigrated_project, "0002_fill", PARTED)
    of_module = AGAIN.replace(".fill\n", "\n").replace("(fill)", "(fill.fill)")
    for source in (AGAIN, of_module):
        write_migration(unmigrated_project, "0003_again", source)
        out, told = run_command(unmigrated_project, "convergent_migration", "mill", "0002", code=1)
        assert "mill.migrations.0003_again uses its fill, which would stand in another part" in told
        assert "+# 0002_fill.py" in out
        assert migration_text(unmigrated_project, "0002_fill") == PARTED
    write_migration(
        unmigrated_project,
        "0003_again",
        AGAIN.replace('import_module("mill.migrations.0002_fill").fill', "print"),
    )
    run_command(unmigrated_project, "convergent_migration", "mill", "0002")
    assert migration_names(unmigrated_project) == [
        "0001_initial",
        "0002_before_fill",
        "0002_fill",
        "0003_again",
    ]


SLUGS = """\
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    operations = [
        migrations.CreateModel("Item", [
            ("id", models.BigAutoField(primary_key=True)),
            ("name", models.SlugField(unique=True)),
            ("code", models.CharField(max_length=36, db_index=True)),
            ("kind", models.CharField(max_length=9, unique=True, db_collation="C")),
            ("note", models.CharField(max_length=9, db_index=True)),
        ]),
    ]
"""
ALTERED = """\
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("mill", "0001_initial")]
    operations = [
        migrations.AlterField("item", "name", models.CharField(max_length=80, unique=True)),
        migrations.AlterField("item", "code", models.UUIDField(db_index=True)),
        migrations.AlterField("item", "kind", models.CharField(max_length=9, unique=True)),
        migrations.AlterField("item", "note", models.TextField(db_index=True)),
    ]
"""


def test_converted_alterations_of_indexed_texts_are_as_declared_forwards_and_backwards(
    unmigrated_project: Project,
) -> None:
    project = unmigrated_project
    write_migration(project, "0001_initial", SLUGS)
    write_migration(project, "0002_altered", ALTERED)
    run_command(project, "convergent_migration", "mill", "0002")
    assert "atomic = False" in migration_text(project, "0002_altered")
    for target in ("0002", "0001", "0002"):
        run_command(project, "migrate", "mill", target, "-v0")
        run_command(project, "verify_schema", "--strict")


def test_a_file_that_begins_with_a_byte_order_mark_keeps_it(unmigrated_project: Project) -> None:
    write_migration(unmigrated_project, "0001_initial", f"\ufeff{INITIAL}")
    run_command(unmigrated_project, "convergent_migration", "mill", "0001")
    text = migration_text(unmigrated_project, "0001_initial")
    assert text.count("\ufeff") == text.startswith("\ufefffrom django.db")
    assert text.count("operations.CreateTableIfMissing(") == 2
    run_command(unmigrated_project, "migrate", "-v0")
