"""Migrations that block others, break the release that still runs, or cannot go back or run again."""

from typing import Any

from django.contrib.contenttypes.models import ContentType
from django.contrib.postgres import operations as postgres
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.functions import RandomUUID
from django.db import migrations, models
from django.db.models.functions import Random, Upper

from benchmarks.lint.cases.case import LintCase, back, fill
from signals import operations

INDEX = models.Index(fields=["amount"], name="item_amount")
CHECK = models.CheckConstraint(condition=models.Q(amount__gt=0), name="amount_positive")
UNIQUE = models.UniqueConstraint(fields=["name"], name="name_once")
ONE_NEW = models.UniqueConstraint(fields=["name"], condition=models.Q(state="new"), name="one_new")
EXCLUSION = ExclusionConstraint(name="apart", expressions=[("amount", "=")])


def imported(apps: Any, schema_editor: Any) -> None:
    ContentType.objects.all().delete()


def imported_inside(apps: Any, schema_editor: Any) -> None:
    from django.contrib.contenttypes.models import ContentType as Kind  # a package's own

    from signals.models import Signal

    Signal.objects.filter(pk__lt=0).delete()
    Kind.objects.none()


def sql(text: Any, back: Any = migrations.RunSQL.noop, **more: Any) -> migrations.RunSQL:
    return migrations.RunSQL(text, back, **more)


def add(name: str, field: Any, **more: Any) -> Any:
    return migrations.AddField("item", name, field, **more)


def alter(name: str, field: Any) -> Any:
    return migrations.AlterField("item", name, field)


LOCKS = [
    LintCase("an index", lambda: [migrations.AddIndex("item", INDEX)], "L101"),
    LintCase(
        "a column that waits without a limit",
        lambda: [add("x", models.IntegerField(null=True))],
        "L104",
        is_limited=False,
    ),
    LintCase("a check", lambda: [migrations.AddConstraint("item", CHECK)], "L106"),
    LintCase("a uniqueness", lambda: [migrations.AddConstraint("item", UNIQUE)], "L102"),
    LintCase("a partial uniqueness", lambda: [migrations.AddConstraint("item", ONE_NEW)], "L101"),
    LintCase("an exclusion", lambda: [migrations.AddConstraint("item", EXCLUSION)], "L103"),
    LintCase("no index", lambda: [migrations.RemoveIndex("item", "item_name")], "L110"),
    LintCase(
        "an indexed column",
        lambda: [add("x", models.IntegerField(null=True, db_index=True))],
        "L102",
    ),
    LintCase(
        "a unique column", lambda: [add("x", models.IntegerField(null=True, unique=True))], "L102"
    ),
    LintCase("a slug", lambda: [add("x", models.SlugField(null=True))], "L102"),
    LintCase(
        "a foreign key",
        lambda: [add("maker", models.ForeignKey("depot.Maker", models.CASCADE, null=True))],
        "L105",
    ),
    LintCase(
        "a positive number", lambda: [add("x", models.PositiveIntegerField(null=True))], "L106"
    ),
    LintCase(
        "a unique field",
        lambda: [alter("name", models.CharField(max_length=50, unique=True))],
        "L102",
    ),
    LintCase(
        "an indexed field", lambda: [alter("amount", models.IntegerField(db_index=True))], "L101"
    ),
    LintCase(
        "a field that is positive", lambda: [alter("amount", models.PositiveIntegerField())], "L106"
    ),
    LintCase(
        "a number that becomes a foreign key",
        lambda: [
            alter(
                "maker_number",
                models.ForeignKey(
                    "depot.Maker", models.CASCADE, null=True, db_column="maker_number"
                ),
            )
        ],
        "L105",
    ),
    LintCase(
        "unique_together",
        lambda: [migrations.AlterUniqueTogether("item", {("name", "note")})],
        "L102",
    ),
    LintCase(
        "index_together",
        lambda: [migrations.AlterIndexTogether("item", {("name", "note")})],
        "L101",
    ),
    LintCase(
        "NOT NULL by the default",
        lambda: [alter("kind", models.CharField(max_length=20, default="plain"))],
        "L107",
    ),
    LintCase(
        "a larger number", lambda: [alter("amount", models.BigIntegerField(default=0))], "L108"
    ),
    LintCase(
        "more decimal places",
        lambda: [alter("price", models.DecimalField(max_digits=9, decimal_places=3))],
        "L108 L207",
    ),
    LintCase(
        "another collation",
        lambda: [alter("note", models.TextField(null=True, db_collation="C"))],
        "L108",
    ),
    LintCase(
        "a rewrite by the library",
        lambda: [
            operations.AlterColumnTypeIfDifferent(
                "item", "amount", models.BigIntegerField(default=0), allow_rewrite=True
            )
        ],
        "L108",
        atomic=False,
    ),
    LintCase(
        "a stored generated column",
        lambda: [
            add(
                "x",
                models.GeneratedField(
                    expression=Upper("name"), output_field=models.TextField(), db_persist=True
                ),
            )
        ],
        "L108",
    ),
    LintCase(
        "a random default",
        lambda: [add("x", models.UUIDField(db_default=RandomUUID()))],
        "L109",
    ),
    LintCase(
        "a random default by the library",
        lambda: [
            operations.AddColumnIfMissing(
                "item", "x", models.FloatField(db_default=Random()), allow_rewrite=True
            )
        ],
        "L109",
        atomic=False,
    ),
    LintCase(
        "a check validated under the lock of its addition",
        lambda: [
            postgres.AddConstraintNotValid("item", CHECK),
            postgres.ValidateConstraint("item", CHECK.name),
        ],
        "L106",
    ),
    LintCase(
        "an index on the database alone",
        lambda: [migrations.SeparateDatabaseAndState([migrations.AddIndex("item", INDEX)])],
        "L101",
    ),
    LintCase(
        "an index of a table that the state alone gets",
        lambda: [
            migrations.SeparateDatabaseAndState(
                state_operations=[
                    migrations.CreateModel(
                        "Moved",
                        [
                            ("id", models.BigAutoField(primary_key=True)),
                            ("x", models.IntegerField()),
                        ],
                        {"db_table": "elsewhere_item"},
                    )
                ]
            ),
            migrations.AddIndex("moved", models.Index(fields=["x"], name="moved_x")),
        ],
        "L101",
    ),
]

RELEASE = [
    LintCase("a column goes", lambda: [migrations.RemoveField("item", "note")], "L201"),
    LintCase(
        "a column goes by the library",
        lambda: [operations.RemoveColumnIfPresent("item", "note")],
        "L201",
        atomic=False,
    ),
    LintCase("a table goes", lambda: [migrations.DeleteModel("Item")], "L202"),
    LintCase(
        "a table goes by the library",
        lambda: [operations.RemoveTableIfPresent("Item")],
        "L202",
        atomic=False,
    ),
    LintCase(
        "another name of a field",
        lambda: [migrations.RenameField("item", "note", "remark")],
        "L203",
    ),
    LintCase(
        "another db_column",
        lambda: [alter("note", models.TextField(null=True, db_column="remark"))],
        "L203",
    ),
    LintCase("another name of a model", lambda: [migrations.RenameModel("Item", "Thing")], "L204"),
    LintCase(
        "another name of a table", lambda: [migrations.AlterModelTable("item", "things")], "L204"
    ),
    LintCase(
        "NOT NULL with a default in the code",
        lambda: [add("x", models.IntegerField(default=0))],
        "L205",
    ),
    LintCase(
        "NOT NULL for once",
        lambda: [add("x", models.TextField(default=""), preserve_default=False)],
        "L205",
    ),
    LintCase(
        "NOT NULL by the library",
        lambda: [operations.AddColumnIfMissing("item", "x", models.IntegerField(default=0))],
        "L205",
        atomic=False,
    ),
    LintCase(
        "an order", lambda: [migrations.AlterOrderWithRespectTo("item", "maker_number")], "L205"
    ),
    LintCase("NULL refused", lambda: [alter("note", models.TextField())], "L107 L206"),
    LintCase(
        "NULL refused by the library",
        lambda: [operations.SetNotNullIfNullable("item", "note", models.TextField())],
        "L206",
        atomic=False,
    ),
    LintCase(
        "a shorter text", lambda: [alter("name", models.CharField(max_length=40))], "L108 L207"
    ),
    LintCase(
        "a text with a limit",
        lambda: [alter("note", models.CharField(max_length=40, null=True))],
        "L108 L207",
    ),
    LintCase(
        "a smaller number",
        lambda: [alter("amount", models.SmallIntegerField(default=0))],
        "L108 L207",
    ),
    LintCase(
        "a text that becomes a number",
        lambda: [alter("note", models.IntegerField(null=True))],
        "L108 L207",
    ),
    LintCase("no db_default", lambda: [alter("state", models.CharField(max_length=10))], "L208"),
    LintCase(
        "a NOT NULL column that is left behind",
        lambda: [
            migrations.SeparateDatabaseAndState(
                state_operations=[migrations.RemoveField("item", "name")]
            )
        ],
        "L209",
    ),
    LintCase(
        "a column that goes from state and database at once",
        lambda: [
            migrations.SeparateDatabaseAndState(
                [sql("ALTER TABLE depot_item DROP COLUMN note")],
                [migrations.RemoveField("item", "note")],
            )
        ],
        "L201",
    ),
    LintCase(
        "a column that goes from the database after the state",
        lambda: [
            migrations.SeparateDatabaseAndState(
                state_operations=[migrations.RemoveField("item", "note")]
            ),
            sql("ALTER TABLE depot_item DROP COLUMN note"),
        ],
        "L201",
    ),
]

TRANSACTIONS = [
    LintCase("a concurrent index", lambda: [postgres.AddIndexConcurrently("item", INDEX)], "L301"),
    LintCase(
        "a concurrent removal",
        lambda: [postgres.RemoveIndexConcurrently("item", "item_name")],
        "L301",
    ),
    LintCase(
        "a concurrent index by the library",
        lambda: [operations.CreateIndexConcurrentlyIfMissing("item", INDEX)],
        "L301",
    ),
    LintCase(
        "a backfill",
        lambda: [operations.BackfillInBatches("item", "note", models.Value(""))],
        "L301",
    ),
    LintCase(
        "a concurrent index by SQL",
        lambda: [sql("CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON depot_item (amount)")],
        "L301",
    ),
    LintCase(
        "a concurrent index beside another statement",
        lambda: [
            sql(
                "SET lock_timeout = '1s'; CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON depot_item (amount)"
            )
        ],
        "L301",
        atomic=False,
    ),
    LintCase("a vacuum", lambda: [sql("VACUUM depot_item")], "L301"),
    LintCase(
        "rows and a column",
        lambda: [add("x", models.IntegerField(null=True)), migrations.RunPython(fill, back)],
        "L302",
    ),
    LintCase(
        "rows and a column by SQL",
        lambda: [
            sql("ALTER TABLE depot_item ADD COLUMN x int; UPDATE depot_item SET x = 1 WHERE id < 9")
        ],
        "L302",
    ),
    LintCase(
        "two tables at once",
        lambda: [
            sql("ALTER TABLE depot_item ADD COLUMN x int; ALTER TABLE depot_maker ADD COLUMN x int")
        ],
        "L303",
    ),
    LintCase("a COMMIT", lambda: [sql(["COMMIT", "BEGIN"])], "L304"),
]

REPEATING = [
    LintCase("code without a way back", lambda: [migrations.RunPython(fill)], "L401"),
    LintCase("SQL without a way back", lambda: [migrations.RunSQL("SELECT 1")], "L401"),
    LintCase(
        "SQL that is done once",
        lambda: [sql("CREATE TABLE depot_log (id int)"), sql("SELECT 1")],
        "L402",
        atomic=False,
    ),
    LintCase(
        "a concurrent index that is there",
        lambda: [sql("CREATE INDEX CONCURRENTLY i ON depot_item (amount)")],
        "L402",
        atomic=False,
    ),
    LintCase(
        "a type that is there",
        lambda: [
            sql("CREATE TYPE mood AS ENUM ('good')"),
            sql("ALTER TYPE mood ADD VALUE 'bad'"),
            sql("SELECT 1"),
        ],
        "L402",
        atomic=False,
    ),
    LintCase(
        "two steps without a transaction",
        lambda: [
            postgres.AddIndexConcurrently("item", INDEX),
            add("x", models.IntegerField(null=True)),
        ],
        "L403",
        atomic=False,
    ),
    LintCase("the model of today", lambda: [migrations.RunPython(imported, back)], "L404"),
    LintCase(
        "the model of today, inside", lambda: [migrations.RunPython(imported_inside, back)], "L404"
    ),
]


def statement(name: str, text: Any, rules: str, **more: Any) -> LintCase:
    return LintCase(f"SQL: {name}", lambda: [sql(text)], rules, **more)


SQL = [
    statement("an index", "CREATE INDEX i ON depot_item (amount)", "L101"),
    statement(
        "an index of a schema", 'CREATE UNIQUE INDEX i ON public."depot_item" (amount)', "L101"
    ),
    statement("no index", "DROP INDEX item_name", "L110"),
    statement("a check", "ALTER TABLE depot_item ADD CONSTRAINT c CHECK (amount > 0)", "L106"),
    statement(
        "a foreign key",
        "ALTER TABLE depot_item ADD FOREIGN KEY (maker_number) REFERENCES depot_maker",
        "L105",
    ),
    statement("a uniqueness", "ALTER TABLE depot_item ADD CONSTRAINT u UNIQUE (amount)", "L102"),
    statement(
        "an exclusion", "ALTER TABLE depot_item ADD CONSTRAINT e EXCLUDE (amount WITH =)", "L103"
    ),
    statement("NOT NULL", "ALTER TABLE depot_item ALTER note SET NOT NULL", "L107 L206"),
    statement("another type", "ALTER TABLE depot_item ALTER amount TYPE bigint", "L108"),
    statement(
        "another type by an expression",
        "ALTER TABLE depot_item ALTER note TYPE int USING note::int",
        "L108 L207",
    ),
    statement("a serial", "ALTER TABLE depot_item ADD COLUMN x serial", "L108"),
    statement(
        "a random column", "ALTER TABLE depot_item ADD x uuid DEFAULT gen_random_uuid()", "L109"
    ),
    statement("a column that is not given", "ALTER TABLE depot_item ADD x int NOT NULL", "L205"),
    statement(
        "a column with a reference",
        "ALTER TABLE depot_item ADD x int UNIQUE REFERENCES depot_maker",
        "L102 L105",
    ),
    statement("no column", "ALTER TABLE depot_item DROP COLUMN grams", "L201"),
    statement("no table", "DROP TABLE depot_item CASCADE", "L202"),
    statement("no schema", "DROP SCHEMA archive CASCADE", "L202"),
    statement("another name of a column", "ALTER TABLE depot_item RENAME note TO remark", "L203"),
    statement("another name of a table", "ALTER TABLE depot_item RENAME TO things", "L204"),
    statement("another schema", "ALTER TABLE depot_item SET SCHEMA archive", "L204"),
    statement("no default", "ALTER TABLE depot_item ALTER state DROP DEFAULT", "L208"),
    statement("a lock", "LOCK TABLE depot_item IN ACCESS EXCLUSIVE MODE", "L503"),
    statement("VACUUM FULL", "VACUUM FULL depot_item", "L108", atomic=False),
    statement("CLUSTER", "CLUSTER depot_item USING item_name", "L108"),
    statement("unlogged", "ALTER TABLE depot_item SET UNLOGGED", "L108"),
    statement("TRUNCATE", "TRUNCATE depot_item", "L502"),
    statement("every row", "UPDATE depot_item SET amount = 1", "L501"),
    statement("every row, with a value", [("UPDATE depot_item SET name = %s", ["x"])], "L501"),
    statement("no rows", "DELETE FROM depot_item", "L501"),
    statement(
        "a trigger",
        "CREATE TRIGGER t BEFORE INSERT ON depot_item FOR EACH ROW EXECUTE FUNCTION f()",
        "L504",
    ),
    statement("a rebuilt index", "REINDEX TABLE depot_item", "L101"),
    statement("a view anew", "REFRESH MATERIALIZED VIEW totals", "L111"),
    statement(
        "a check validated at once",
        "ALTER TABLE depot_item ADD CONSTRAINT c CHECK (amount > 0) NOT VALID;"
        "ALTER TABLE depot_item VALIDATE CONSTRAINT c",
        "L106",
        atomic=False,
    ),
    statement("what is no SQL", "ALTER TABEL depot_item ADD x int", "L505"),
]

BAD = [*LOCKS, *RELEASE, *TRANSACTIONS, *REPEATING, *SQL]
