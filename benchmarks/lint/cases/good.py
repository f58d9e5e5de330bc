"""Migrations that neither block others, nor break a release, and can go back and run again."""

from typing import Any

from django.contrib.postgres import operations as postgres
from django.contrib.postgres.functions import RandomUUID
from django.db import migrations, models
from django.db.models.functions import Now, Upper

from benchmarks.lint.cases.bad import CHECK, EXCLUSION, INDEX, UNIQUE, alter, sql
from benchmarks.lint.cases.case import LintCase, back, fill, fill_by_expression
from signals import operations

KEY = ("id", models.BigAutoField(primary_key=True))


def new(*fields: Any, **options: Any) -> Any:
    return migrations.CreateModel(
        "New", [KEY, ("x", models.IntegerField(null=True)), *fields], options
    )


def on_new(name: str, *made: Any, **more: Any) -> LintCase:
    return LintCase(f"of a new table: {name}", lambda: [new(), *made], **more)


def add(name: str, field: Any, **more: Any) -> Any:
    return operations.AddColumnIfMissing("item", name, field, **more)


NEW_TABLES = [
    LintCase("a table", lambda: [new()]),
    LintCase("a table of the library", lambda: [operations.CreateTableIfMissing("New", [KEY])]),
    LintCase(
        "a table that refers to another",
        lambda: [new(("item", models.ForeignKey("depot.Item", models.CASCADE)))],
    ),
    LintCase(
        "a table with a random default",
        lambda: [new(("y", models.UUIDField(db_default=RandomUUID())))],
    ),
    LintCase(
        "a proxy",
        lambda: [migrations.CreateModel("Proxy", [], {"proxy": True}, bases=("depot.item",))],
    ),
    on_new("an index", migrations.AddIndex("new", models.Index(fields=["x"], name="new_x"))),
    on_new(
        "a check",
        migrations.AddConstraint(
            "new", models.CheckConstraint(condition=models.Q(x__gt=0), name="c")
        ),
    ),
    on_new(
        "a uniqueness",
        migrations.AddConstraint("new", models.UniqueConstraint(fields=["x"], name="u")),
    ),
    on_new("NOT NULL", migrations.AddField("new", "y", models.IntegerField(default=0))),
    on_new(
        "a foreign key",
        migrations.AddField("new", "y", models.ForeignKey("depot.Item", models.CASCADE)),
    ),
    on_new("NULL refused", migrations.AlterField("new", "x", models.IntegerField())),
    on_new("another type", migrations.AlterField("new", "x", models.TextField())),
    on_new("no column", migrations.RemoveField("new", "x")),
    on_new("another name", migrations.RenameField("new", "x", "y")),
    on_new(
        "another name of the model",
        migrations.RenameModel("New", "Newer"),
        migrations.RemoveField("newer", "x"),
    ),
    on_new("no table", migrations.DeleteModel("New")),
    on_new("unique_together", migrations.AlterUniqueTogether("new", {("id", "x")})),
    on_new("an index by SQL", sql("CREATE INDEX i ON depot_new (x)")),
    on_new("rows", migrations.RunPython(fill, back)),
    LintCase(
        "a table by SQL",
        lambda: [
            sql("CREATE TABLE log (id int); CREATE INDEX i ON log (id); UPDATE log SET id = 1")
        ],
    ),
    LintCase(
        "a table by SQL and in the state",
        lambda: [
            migrations.SeparateDatabaseAndState(
                [sql("CREATE TABLE depot_new (id int, x int)")], [new()]
            ),
            migrations.AddIndex("new", models.Index(fields=["x"], name="new_x")),
        ],
    ),
    LintCase("a temporary table", lambda: [sql("CREATE TEMP TABLE t (id int); DELETE FROM t")]),
]

COLUMNS = [
    LintCase(
        "a column by Django",
        lambda: [migrations.AddField("item", "x", models.IntegerField(null=True))],
    ),
    LintCase(
        "a column with a db_default by Django",
        lambda: [migrations.AddField("item", "x", models.IntegerField(db_default=0))],
    ),
    LintCase("a column", lambda: [add("x", models.IntegerField(null=True))], atomic=False),
    LintCase(
        "a column with a db_default",
        lambda: [add("x", models.DateTimeField(db_default=Now()))],
        atomic=False,
    ),
    LintCase(
        "an indexed column",
        lambda: [add("x", models.IntegerField(null=True, db_index=True))],
        atomic=False,
    ),
    LintCase(
        "a unique column",
        lambda: [add("x", models.IntegerField(null=True, unique=True))],
        atomic=False,
    ),
    LintCase(
        "a foreign key",
        lambda: [add("maker", models.ForeignKey("depot.Maker", models.CASCADE, null=True))],
        atomic=False,
    ),
    LintCase(
        "a positive number",
        lambda: [add("x", models.PositiveIntegerField(null=True))],
        atomic=False,
    ),
    LintCase(
        "a column, filled and closed",
        lambda: [
            add(
                "x",
                models.DateTimeField(null=True, db_default=Now()),
                leave_existing_null=True,
                altered_later=True,
            ),
            operations.BackfillInBatches("item", "x", Now()),
            operations.SetNotNullIfNullable("item", "x", models.DateTimeField(db_default=Now())),
        ],
        atomic=False,
    ),
    LintCase(
        "many to many",
        lambda: [migrations.AddField("item", "makers", models.ManyToManyField("depot.Maker"))],
    ),
    LintCase(
        "a new column goes",
        lambda: [
            add("x", models.TextField(null=True)),
            operations.RemoveColumnIfPresent("item", "x"),
        ],
        atomic=False,
    ),
    LintCase(
        "a new column gets a name",
        lambda: [add("x", models.TextField(null=True)), migrations.RenameField("item", "x", "y")],
        atomic=False,
    ),
    LintCase(
        "a virtual default",
        lambda: [migrations.AddField("view", "x", models.IntegerField(default=0))],
    ),
]

FIELDS = [
    LintCase("a longer text", lambda: [alter("name", models.CharField(max_length=60))]),
    LintCase("a text without a limit", lambda: [alter("name", models.TextField())]),
    LintCase(
        "more digits", lambda: [alter("price", models.DecimalField(max_digits=9, decimal_places=2))]
    ),
    LintCase(
        "help",
        lambda: [alter("name", models.CharField(max_length=50, help_text="x", verbose_name="y"))],
    ),
    LintCase(
        "choices", lambda: [alter("name", models.CharField(max_length=50, choices=[("a", "b")]))]
    ),
    LintCase(
        "another on_delete",
        lambda: [
            migrations.AlterField(
                "item", "owner", models.ForeignKey("depot.Maker", models.SET_NULL, null=True)
            )
        ],
        earlier=lambda: [
            migrations.AddField(
                "item", "owner", models.ForeignKey("depot.Maker", models.CASCADE, null=True)
            )
        ],
    ),
    LintCase(
        "a column that the state alone gets",
        lambda: [
            migrations.SeparateDatabaseAndState(
                state_operations=[migrations.AddField("item", "x", models.IntegerField())]
            )
        ],
    ),
    LintCase("a default", lambda: [alter("amount", models.IntegerField(default=7))]),
    LintCase("a db_default", lambda: [alter("amount", models.IntegerField(db_default=7))]),
    LintCase("NULL allowed", lambda: [alter("name", models.CharField(max_length=50, null=True))]),
    LintCase("NOT NULL that a check proves", lambda: [alter("small", models.SmallIntegerField())]),
    LintCase(
        "NOT NULL of what the code fills",
        lambda: [
            operations.SetNotNullIfNullable(
                "item", "kind", models.CharField(max_length=20, default="plain")
            )
        ],
        atomic=False,
    ),
    LintCase(
        "a text that is an address", lambda: [alter("name", models.EmailField(max_length=50))]
    ),
    LintCase(
        "a field with the old column", lambda: [migrations.RenameField("item", "weight", "mass")]
    ),
    LintCase("a model with the old table", lambda: [migrations.RenameModel("Named", "Called")]),
    LintCase("the table that it has", lambda: [migrations.AlterModelTable("item", "depot_item")]),
    LintCase("options", lambda: [migrations.AlterModelOptions("item", {"ordering": ["name"]})]),
    LintCase("a comment", lambda: [migrations.AlterModelTableComment("item", "things")]),
    LintCase("fewer together", lambda: [migrations.AlterUniqueTogether("item", set())]),
    LintCase(
        "another name of an index",
        lambda: [migrations.RenameIndex("item", "item_names", "item_name")],
    ),
    LintCase(
        "a field that leaves the state, with a default",
        lambda: [
            migrations.SeparateDatabaseAndState(
                state_operations=[migrations.RemoveField("item", "state")]
            )
        ],
    ),
    LintCase(
        "a model that leaves the state",
        lambda: [
            migrations.SeparateDatabaseAndState(state_operations=[migrations.DeleteModel("Item")])
        ],
    ),
]

INDEXES = [
    LintCase(
        "a concurrent index", lambda: [postgres.AddIndexConcurrently("item", INDEX)], atomic=False
    ),
    LintCase(
        "no index, concurrently",
        lambda: [postgres.RemoveIndexConcurrently("item", "item_name")],
        atomic=False,
    ),
    LintCase(
        "an index",
        lambda: [operations.CreateIndexConcurrentlyIfMissing("item", INDEX)],
        atomic=False,
    ),
    LintCase(
        "no index",
        lambda: [operations.DropIndexConcurrentlyIfPresent("item", "item_name")],
        atomic=False,
    ),
    LintCase("a check", lambda: [operations.AddCheckIfMissing("item", CHECK)], atomic=False),
    LintCase("a uniqueness", lambda: [operations.AddUniqueIfMissing("item", UNIQUE)], atomic=False),
    LintCase(
        "a number that becomes a foreign key",
        lambda: [
            operations.AddForeignKeyIfMissing(
                "item",
                "maker_number",
                models.ForeignKey(
                    "depot.Maker", models.CASCADE, null=True, db_column="maker_number"
                ),
            )
        ],
        atomic=False,
    ),
    LintCase(
        "a longer text by the library",
        lambda: [
            operations.AlterColumnTypeIfDifferent("item", "name", models.CharField(max_length=60))
        ],
    ),
    LintCase("a type", lambda: [operations.CreateEnumIfMissing("depot_mood", ["good", "bad"])]),
    LintCase("no check", lambda: [operations.RemoveCheckIfPresent("item", "small_set")]),
    LintCase(
        "no uniqueness",
        lambda: [operations.RemoveUniqueIfPresent("item", "name_kind")],
        atomic=False,
    ),
    LintCase(
        "rows in batches",
        lambda: [operations.BackfillInBatches("item", "note", models.Value(""))],
        atomic=False,
    ),
    LintCase(
        "many to many by the library",
        lambda: [
            operations.AddColumnIfMissing("item", "makers", models.ManyToManyField("depot.Maker"))
        ],
    ),
    LintCase("a check that is not valid", lambda: [postgres.AddConstraintNotValid("item", CHECK)]),
    LintCase(
        "a check that gets valid",
        lambda: [postgres.ValidateConstraint("item", CHECK.name)],
        earlier=lambda: [postgres.AddConstraintNotValid("item", CHECK)],
    ),
    LintCase("no constraint", lambda: [migrations.RemoveConstraint("item", "name_kind")]),
    LintCase("an extension", lambda: [postgres.BtreeGistExtension()]),
    LintCase(
        "no exclusion",
        lambda: [migrations.RemoveConstraint("item", EXCLUSION.name)],
        earlier=lambda: [migrations.AddConstraint("item", EXCLUSION)],
    ),
]


def statement(name: str, text: Any, **more: Any) -> LintCase:
    return LintCase(f"SQL: {name}", lambda: [sql(text)], **more)


def left_the_state() -> list[Any]:
    gone = [migrations.RemoveField("item", "note"), migrations.DeleteModel("Maker")]
    return [migrations.SeparateDatabaseAndState(state_operations=gone)]


SQL = [
    statement(
        "a concurrent index",
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON depot_item (amount)",
        atomic=False,
    ),
    statement(
        "no index, concurrently", "DROP INDEX CONCURRENTLY IF EXISTS item_name", atomic=False
    ),
    statement(
        "a check that is not valid",
        "ALTER TABLE depot_item ADD CONSTRAINT c CHECK (amount > 0) NOT VALID",
    ),
    statement("a check that gets valid", "ALTER TABLE depot_item VALIDATE CONSTRAINT c"),
    statement(
        "a uniqueness of an index", "ALTER TABLE depot_item ADD CONSTRAINT u UNIQUE USING INDEX i"
    ),
    statement("a column", "ALTER TABLE depot_item ADD COLUMN x int DEFAULT 7 NOT NULL"),
    statement(
        "a column with the time", "ALTER TABLE depot_item ADD COLUMN x timestamptz DEFAULT now()"
    ),
    statement("a longer text", "ALTER TABLE depot_item ALTER name TYPE varchar(60)"),
    statement("a text without a limit", "ALTER TABLE depot_item ALTER name TYPE text"),
    statement("NOT NULL that a check proves", "ALTER TABLE depot_item ALTER small SET NOT NULL"),
    statement("a default", "ALTER TABLE depot_item ALTER amount SET DEFAULT 0"),
    statement("some rows", "UPDATE depot_item SET amount = 1 WHERE id < 100"),
    statement(
        "some rows, with a value",
        [("DELETE FROM depot_item WHERE name LIKE %s AND id < 100", ["50%"])],
    ),
    statement(
        "what the state lost before",
        "ALTER TABLE depot_item DROP COLUMN note",
        earlier=left_the_state,
    ),
    statement(
        "a table that the state lost before", "DROP TABLE depot_maker", earlier=left_the_state
    ),
    statement(
        "a function", "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'"
    ),
    statement("a view", "CREATE OR REPLACE VIEW totals AS SELECT count(*) FROM depot_item"),
    statement("a comment", "COMMENT ON TABLE depot_item IS '100% of them'"),
    statement("a view anew, concurrently", "REFRESH MATERIALIZED VIEW CONCURRENTLY totals"),
    statement("a row", "INSERT INTO depot_maker (id, code, rank) VALUES (1, 'x', 1)"),
    statement("nothing", ""),
    statement("a vacuum", "VACUUM ANALYZE depot_item", atomic=False),
    statement("a value of a type", "ALTER TYPE mood ADD VALUE IF NOT EXISTS 'bad'"),
    statement(
        "a lock with a timeout", "SET lock_timeout = '1s'; ALTER TABLE depot_item ADD COLUMN x int"
    ),
    statement("a block of code", "DO $$ BEGIN PERFORM 1; END $$"),
    statement("no constraint", "ALTER TABLE depot_item DROP CONSTRAINT name_kind"),
    LintCase("code", lambda: [migrations.RunPython(fill, back)]),
    LintCase("code of expressions", lambda: [migrations.RunPython(fill_by_expression, back)]),
    LintCase(
        "code alone, without a transaction",
        lambda: [migrations.RunPython(fill, back)],
        atomic=False,
    ),
    LintCase(
        "code that does nothing",
        lambda: [
            migrations.RunPython(migrations.RunPython.noop, back),
            add("x", models.TextField(null=True)),
        ],
    ),
    LintCase(
        "a generated column on a model of somebody else",
        lambda: [
            migrations.AddField(
                "view",
                "x",
                models.GeneratedField(
                    expression=Upper("id"), output_field=models.TextField(), db_persist=True
                ),
            )
        ],
    ),
]

GOOD = [*NEW_TABLES, *COLUMNS, *FIELDS, *INDEXES, *SQL]
