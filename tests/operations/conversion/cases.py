"""Django's operations over others, and what the conversion makes of them."""

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from django.contrib.postgres import operations as postgres
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import IntegerRangeField
from django.db import migrations, models
from django.db.migrations.operations.base import Operation
from django.db.migrations.operations.models import AlterOrderWithRespectTo
from django.db.models import Q
from django.utils import timezone

from benchmarks.django_suite.models import key, to
from signals import operations

APP = "shapes"


def table(*fields: tuple[str, Any], **options: Any) -> list[Operation]:
    return [
        migrations.CreateModel("B", [key(), ("code", models.IntegerField(unique=True))]),
        migrations.CreateModel("A", [key(), *fields], options),
    ]


def altered(
    before: Any, after: Any, preserve: bool = True
) -> tuple[Callable[[], list[Operation]], ...]:
    """The tables, and the field x of A altered."""
    return (
        lambda: table(("x", before())),
        lambda: [migrations.AlterField("A", "x", after(), preserve)],
    )


@dataclass(frozen=True, slots=True)
class Case:
    """Django's operations over others, and what they become: classes, in a list where there are several."""

    before: Callable[[], Sequence[Operation]]
    steps: Callable[[], Sequence[Operation]]
    becomes: str
    reason: str = ""
    rows: str = ""


def text(**options: Any) -> Any:
    return models.CharField(max_length=9, **options)


INTEGER = models.IntegerField
TYPE, FOREIGN, STRICT = "AlterColumnType", "AddForeignKey", "Backfill SetNotNull"
INDEX = models.Index(fields=["x"], name="i")
CHECK = models.CheckConstraint(condition=Q(x__gt=0), name="c")
UNIQUE = models.UniqueConstraint(fields=["x"], name="u")
EXCLUSION = ExclusionConstraint(name="e", expressions=[("r", "&&")])
CUT_OFF = f"the name {'c' * 64} is 64 bytes long, and PostgreSQL keeps 63 (shorten it)"
WITH_X: Any = ("x", INTEGER(null=True))


def loose(**options: Any) -> Any:
    """A foreign key without a constraint."""
    return to("shapes.B", db_constraint=False, db_column="x", **options)


def over(*steps: Operation, options: Any = None) -> tuple[Callable[[], list[Operation]], ...]:
    """The operations over a table with a number x and a range r."""
    return (
        lambda: table(WITH_X, ("r", IntegerRangeField(null=True)), **(options or {})),
        lambda: list(steps),
    )


class Coin(Enum):
    DIME = 10


class Cents(models.IntegerField):
    """An amount of money, which is stored in hundredths."""

    def get_prep_value(self, value: Any) -> Any:
        return value if value is None else 100 * getattr(value, "value", value)


CASES: dict[str, Case] = {
    "type": Case(*altered(INTEGER, models.BigIntegerField), TYPE),
    "length": Case(*altered(text, lambda: models.CharField(max_length=20)), TYPE),
    "text with an index": Case(
        *altered(lambda: text(db_index=True), lambda: models.TextField(db_index=True)), TYPE
    ),
    "number with an index to text": Case(
        *altered(lambda: INTEGER(db_index=True), lambda: models.TextField(db_index=True)), TYPE
    ),
    "database default": Case(*altered(INTEGER, lambda: INTEGER(db_default=7)), TYPE),
    "no database default": Case(*altered(lambda: INTEGER(db_default=7), INTEGER), TYPE),
    "indexed": Case(*altered(INTEGER, lambda: INTEGER(db_index=True)), TYPE),
    "unique": Case(*altered(text, lambda: text(unique=True)), TYPE),
    "positive": Case(*altered(INTEGER, models.PositiveIntegerField), TYPE),
    "nullable": Case(*altered(INTEGER, lambda: INTEGER(null=True)), TYPE),
    "not null": Case(*altered(lambda: INTEGER(null=True), INTEGER), "SetNotNull"),
    "not null with a default": Case(
        *altered(lambda: INTEGER(null=True), lambda: INTEGER(default=3)), STRICT, rows="NULL"
    ),
    "not null with a default for once": Case(
        *altered(lambda: text(null=True), lambda: text(default="x"), preserve=False),
        STRICT,
        rows="NULL",
    ),
    "not null with a database default": Case(
        *altered(lambda: INTEGER(null=True), lambda: INTEGER(db_default=3)),
        f"{TYPE} {STRICT}",
        rows="NULL",
    ),
    "not null with JSON": Case(
        *altered(lambda: models.JSONField(null=True), lambda: models.JSONField(default=dict)),
        STRICT,
        rows="NULL",
    ),
    "not null with a text in JSON": Case(
        *altered(lambda: models.JSONField(null=True), lambda: models.JSONField(default="5")),
        STRICT,
        rows="NULL",
    ),
    "not null with a text in JSON that is none": Case(
        *altered(lambda: models.JSONField(null=True), lambda: models.JSONField(default="x")),
        STRICT,
        rows="NULL",
    ),
    "not null with a database default in JSON": Case(
        *altered(lambda: models.JSONField(null=True), lambda: models.JSONField(db_default="5")),
        f"{TYPE} {STRICT}",
        rows="NULL",
    ),
    "not null with what its field stores otherwise": Case(
        *altered(lambda: Cents(null=True), lambda: Cents(default=12)), STRICT, rows="NULL"
    ),
    "not null with an object of its field": Case(
        *altered(lambda: Cents(null=True), lambda: Cents(default=Coin.DIME)), STRICT, rows="NULL"
    ),
    "not null with the text of a number": Case(
        *altered(lambda: INTEGER(null=True), lambda: INTEGER(default="3")), STRICT, rows="NULL"
    ),
    "not null with a number for a text": Case(
        *altered(lambda: text(null=True), lambda: text(default=5)), STRICT, rows="NULL"
    ),
    "not null with the key of a foreign key": Case(
        lambda: [
            migrations.CreateModel("B", [("id", Cents(primary_key=True))]),
            migrations.CreateModel("A", [key(), ("x", loose())]),
        ],
        lambda: [migrations.AlterField("A", "x", loose(null=False, default=12))],
        STRICT,
        rows="NULL",
    ),
    "not null with a choice": Case(
        *altered(lambda: text(null=True), lambda: text(default=Level.HIGH)), STRICT, rows="NULL"
    ),
    "not null with a day": Case(
        *altered(
            lambda: models.DateField(null=True),
            lambda: models.DateField(default=datetime.date(2020, 1, 1)),
        ),
        STRICT,
        rows="NULL",
    ),
    "not null with now": Case(
        *altered(
            lambda: models.DateTimeField(null=True),
            lambda: models.DateTimeField(default=timezone.now),
        ),
        STRICT,
        rows="NULL",
    ),
    "not null with today": Case(
        *altered(
            lambda: models.DateField(null=True), lambda: models.DateField(default=timezone.now)
        ),
        "AlterField",
        "a function computes the value for its NULLs (fill them by BackfillInBatches before)",
    ),
    "not null with a function": Case(
        *altered(lambda: INTEGER(null=True), lambda: INTEGER(default=seven)),
        "AlterField",
        "a function computes the value for its NULLs (fill them by BackfillInBatches before)",
    ),
    "type and not null": Case(
        *altered(lambda: text(null=True), lambda: models.TextField(default="x")),
        f"{TYPE} {STRICT}",
        rows="NULL",
    ),
    "type, index, comment and not null": Case(
        *altered(
            lambda: INTEGER(null=True),
            lambda: models.BigIntegerField(db_index=True, db_comment="it's"),
        ),
        f"AlterColumnComment {TYPE} SetNotNull",
    ),
    "foreign key": Case(
        *altered(
            lambda: models.BigIntegerField(null=True, db_column="x"),
            lambda: to("shapes.B", db_column="x"),
        ),
        FOREIGN,
    ),
    "foreign key of another type, not null": Case(
        *altered(
            lambda: INTEGER(null=True, db_column="x"),
            lambda: to("shapes.B", db_column="x", null=False),
        ),
        f"{TYPE} {FOREIGN} SetNotNull",
    ),
    "constraint of a foreign key": Case(
        *altered(lambda: to("shapes.B", db_constraint=False), lambda: to("shapes.B")), FOREIGN
    ),
    "one to one": Case(
        *altered(lambda: to("shapes.B"), lambda: to("shapes.B", models.OneToOneField)),
        "AlterField",
        "it removes the index of the column",
    ),
    "foreign key elsewhere": Case(
        *altered(lambda: to("shapes.B"), lambda: to("shapes.A")),
        "AlterField",
        "it removes a foreign key, or changes its target",
    ),
    "no index": Case(
        *altered(lambda: INTEGER(db_index=True), INTEGER),
        "AlterField",
        "it removes the index of the column",
    ),
    "no check, no uniqueness": Case(
        *altered(lambda: models.PositiveIntegerField(unique=True), INTEGER),
        "AlterField",
        "it removes the check and the uniqueness of the column",
    ),
    "another column": Case(
        *altered(INTEGER, lambda: INTEGER(db_column="y")),
        "AlterField",
        "it renames, adds or removes the column",
    ),
    "primary key of another type": Case(
        lambda: table(("x", to("shapes.B"))),
        lambda: [migrations.AlterField("B", "id", models.AutoField(primary_key=True))],
        TYPE,
    ),
    "numbering": Case(
        table,
        lambda: [migrations.AlterField("A", "id", models.BigIntegerField(primary_key=True))],
        "AlterField",
        "it adds, changes or removes an identity, a sequence or a generated column",
    ),
    "comment": Case(
        *altered(INTEGER, lambda: INTEGER(db_comment="x")),
        "AlterColumnComment",
    ),
    "table comment": Case(*over(migrations.AlterModelTableComment("A", "x")), "AlterTableComment"),
    "words": Case(
        *altered(
            lambda: to("shapes.B", null=False),
            lambda: to("shapes.B", null=False, help_text="x", default=1),
        ),
        "AlterField",
    ),
    "many to many, words": Case(
        *altered(
            lambda: models.ManyToManyField("shapes.B"),
            lambda: models.ManyToManyField("shapes.B", verbose_name="bees"),
        ),
        "AlterField",
    ),
    "many to many elsewhere": Case(
        *altered(
            lambda: models.ManyToManyField("shapes.B"), lambda: models.ManyToManyField("shapes.A")
        ),
        "AlterField",
        "it changes the table behind a ManyToManyField",
    ),
    "column for once": Case(
        table,
        lambda: [migrations.AddField("A", "x", text(default="a'b"), preserve_default=False)],
        "AddColumn",
    ),
    "column altered again": Case(
        table,
        lambda: [
            migrations.AddField("A", "x", INTEGER(null=True)),
            migrations.AlterField("A", "x", models.BigIntegerField(default=1)),
            migrations.AlterField("A", "x", models.BigIntegerField(default=1, help_text="x")),
        ],
        f"AddColumn {TYPE} {STRICT} AlterField",
    ),
    "table altered again": Case(
        list,
        lambda: [
            *table(("x", text())),
            migrations.AlterField("A", "x", text(unique=True)),
            migrations.AddField("B", "a", to("shapes.A")),
        ],
        f"CreateTable CreateTable {TYPE} AddColumn",
    ),
    "proxy and unmanaged": Case(
        table,
        lambda: [
            migrations.CreateModel("P", [], {"proxy": True}, ("shapes.a",)),
            migrations.CreateModel("U", [key()], {"managed": False}),
        ],
        "CreateModel CreateModel",
    ),
    "column gone": Case(*over(migrations.RemoveField("A", "x")), "RemoveColumn"),
    "index": Case(*over(migrations.AddIndex("A", INDEX)), "CreateIndexConcurrently"),
    "index, concurrently": Case(
        *over(postgres.AddIndexConcurrently("A", INDEX)), "CreateIndexConcurrently"
    ),
    "index gone": Case(
        *over(migrations.RemoveIndex("A", "i"), options={"indexes": [INDEX]}),
        "DropIndexConcurrently",
    ),
    "index gone, concurrently": Case(
        *over(postgres.RemoveIndexConcurrently("A", "i"), options={"indexes": [INDEX]}),
        "DropIndexConcurrently",
    ),
    "check": Case(*over(migrations.AddConstraint("A", CHECK)), "AddCheck"),
    "check in two steps": Case(
        *over(
            postgres.AddConstraintNotValid("A", CHECK),
            migrations.AddIndex("A", INDEX),
            postgres.ValidateConstraint("a", "c"),
        ),
        "AddCheck CreateIndexConcurrently",
    ),
    "check not valid": Case(
        *over(postgres.AddConstraintNotValid("A", CHECK)),
        "AddConstraintNotValid",
        "its check is to stay NOT VALID (AddCheckIfMissing validates it too)",
    ),
    "validation": Case(
        *over(postgres.ValidateConstraint("A", "c"), options={"constraints": [CHECK]}),
        "ValidateConstraint",
        "it is one short statement, which may be sent again",
    ),
    "check gone": Case(
        *over(migrations.RemoveConstraint("A", "c"), options={"constraints": [CHECK]}),
        "RemoveCheck",
    ),
    "uniqueness": Case(*over(migrations.AddConstraint("A", UNIQUE)), "AddUnique"),
    "uniqueness gone": Case(
        *over(migrations.RemoveConstraint("A", "u"), options={"constraints": [UNIQUE]}),
        "RemoveUnique",
    ),
    "check of a name that PostgreSQL cuts off": Case(
        *over(
            migrations.AddConstraint(
                "A", models.CheckConstraint(condition=Q(x__gt=0), name="c" * 64)
            )
        ),
        "AddConstraint",
        CUT_OFF,
    ),
    "table with a name that PostgreSQL cuts off": Case(
        list,
        lambda: table(
            WITH_X,
            constraints=[models.CheckConstraint(condition=Q(x__gt=0), name="c" * 64)],
        ),
        "CreateTable CreateModel",
        CUT_OFF,
    ),
    "exclusion": Case(*over(migrations.AddConstraint("A", EXCLUSION)), "AddExclusion"),
    "exclusion gone": Case(
        *over(migrations.RemoveConstraint("A", "e"), options={"constraints": [EXCLUSION]}),
        "RemoveExclusion",
    ),
    "together": Case(
        *over(migrations.AlterUniqueTogether("A", {("x", "r")})), "AlterUniqueTogether"
    ),
    "indexed together": Case(
        *over(migrations.AlterIndexTogether("A", {("x", "r")})), "AlterIndexTogether"
    ),
    "words of the model": Case(
        *over(migrations.AlterModelOptions("A", {"ordering": ["x"]})), "AlterModelOptions"
    ),
    "renamed": Case(
        *over(migrations.RenameField("A", "x", "y")),
        "RenameColumn",
    ),
    "index renamed": Case(
        *over(
            migrations.RenameIndex("A", new_name="j", old_name="i"), options={"indexes": [INDEX]}
        ),
        "RenameIndex",
    ),
    "order": Case(
        lambda: table(("b", to("shapes.B"))),
        lambda: [AlterOrderWithRespectTo("A", "b")],
        "AlterOrderWithRespectTo",
        "no field declares its column",
    ),
    "table gone": Case(
        *over(migrations.DeleteModel("A")),
        "DeleteModel",
        "a table of that name, with its rows, may not be the declared one",
    ),
    "extension": Case(
        *over(postgres.BtreeGinExtension()),
        "BtreeGinExtension",
        "it is one short statement, which may be sent again",
    ),
    "collation": Case(
        *over(postgres.CreateCollation("german", "C")),
        "CreateCollation",
        "no convergent operation stands in for it",
    ),
    "code": Case(
        *over(migrations.RunPython(migrations.RunPython.noop)),
        "RunPython",
        "its effect is unknown (BackfillInBatches fills a column)",
    ),
    "SQL": Case(*over(migrations.RunSQL("SELECT 1")), "RunSQL", "its effect is unknown"),
    "apart": Case(
        *over(
            migrations.SeparateDatabaseAndState(
                [migrations.AddIndex("A", INDEX)], [migrations.AddIndex("A", INDEX)]
            )
        ),
        "[CreateIndexConcurrently]",
    ),
    "apart, with SQL": Case(
        *over(
            migrations.SeparateDatabaseAndState(
                [migrations.RunSQL("SELECT 1"), migrations.AddIndex("A", INDEX)],
                [migrations.AddIndex("A", INDEX)],
            )
        ),
        "[RunSQL AddIndex]",
        "one of its operations on the database stays as it is: its effect is unknown",
    ),
    "state alone": Case(
        *over(migrations.SeparateDatabaseAndState([], [migrations.RemoveField("A", "x")])), "[]"
    ),
    "convergent already": Case(
        *over(operations.AddColumnIfMissing("A", "y", INTEGER(null=True))), "AddColumn"
    ),
}


class Level(models.TextChoices):
    HIGH = "high"


def seven() -> int:
    return 7
