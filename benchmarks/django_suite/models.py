"""Shapes of models: the operations that make them, of whichever classes."""

import datetime
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from django.contrib.postgres.fields import ArrayField, DateTimeRangeField
from django.contrib.postgres.indexes import BrinIndex, GinIndex, HashIndex, OpClass
from django.db import models
from django.db.models import F, Q, Value
from django.db.models.functions import Lower, Now


@dataclass(frozen=True, slots=True)
class Make:
    """What makes a model, a field of it, an index, a constraint."""

    model: Any
    field: Any
    index: Any
    constraint: Any


Shape: TypeAlias = Callable[[Make], list[Any]]


def key() -> tuple[str, Any]:
    return "id", models.BigAutoField(primary_key=True)


def to(model: str = "shapes.A", kind: Any = models.ForeignKey, **options: Any) -> Any:
    return kind(model, models.CASCADE, **{"null": True, "related_name": "+", **options})


# Each is made with its table, and added to one.
FIELDS: dict[str, Callable[[], Any]] = {
    "integer": lambda: models.IntegerField(null=True),
    "integer with default": lambda: models.IntegerField(default=5),
    "integer with db_default": lambda: models.IntegerField(db_default=-5),
    "integer indexed": lambda: models.IntegerField(null=True, db_index=True),
    "integer unique": lambda: models.IntegerField(null=True, unique=True),
    "positive": lambda: models.PositiveIntegerField(default=1),
    "positive small unique": lambda: models.PositiveSmallIntegerField(null=True, unique=True),
    "big with db_default": lambda: models.BigIntegerField(db_default=2**40),
    "float with db_default": lambda: models.FloatField(db_default=1e20),
    "decimal with db_default": lambda: models.DecimalField(
        max_digits=8, decimal_places=2, db_default="1.50"
    ),
    "boolean with db_default": lambda: models.BooleanField(db_default=True),
    "binary with db_default": lambda: models.BinaryField(db_default=b"a%b"),
    "char blank": lambda: models.CharField(max_length=9, blank=True),
    "char with db_default": lambda: models.CharField(max_length=20, db_default="a'b%;"),
    "char indexed": lambda: models.CharField(max_length=9, default="", db_index=True),
    "char unique": lambda: models.CharField(max_length=9, null=True, unique=True),
    "char collated": lambda: models.CharField(
        max_length=9, default="", db_collation="C", db_index=True
    ),
    "slug": lambda: models.SlugField(default=""),
    "text unique": lambda: models.TextField(null=True, unique=True),
    "text with comment": lambda: models.TextField(default="", db_comment='it\'s "a"; b'),
    "date with db_default": lambda: models.DateField(db_default=datetime.date(2020, 1, 1)),
    "time of insertion": lambda: models.DateTimeField(db_default=Now()),
    "auto_now_add": lambda: models.DateTimeField(
        auto_now_add=True, default=datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    ),
    "duration with db_default": lambda: models.DurationField(
        db_default=datetime.timedelta(days=1, seconds=3)
    ),
    "uuid unique": lambda: models.UUIDField(default=uuid.UUID(int=7), unique=True),
    "address with db_default": lambda: models.GenericIPAddressField(db_default="10.0.0.1"),
    "json with db_default": lambda: models.JSONField(db_default={"a": [1, "b'c%", None]}),
    "json of a value": lambda: models.JSONField(db_default=Value("x", models.JSONField())),
    "array with db_default": lambda: ArrayField(models.IntegerField(), db_default=[1, 2]),
    "array of arrays": lambda: ArrayField(ArrayField(models.CharField(max_length=5)), default=list),
    "range": lambda: DateTimeRangeField(null=True),
    "column of another name": lambda: models.IntegerField(
        null=True, db_index=True, db_column="Odd name"
    ),
    "tablespace": lambda: models.IntegerField(null=True, unique=True, db_tablespace="pg_default"),
    "generated": lambda: models.GeneratedField(
        expression=F("id") * 2, output_field=models.BigIntegerField(), db_persist=True
    ),
    "generated unique": lambda: models.GeneratedField(
        expression=F("id") + 1, output_field=models.BigIntegerField(), db_persist=True, unique=True
    ),
    "foreign key": lambda: to("shapes.B"),
    "foreign key to itself": lambda: to("shapes.A"),
    "foreign key to a field": lambda: to("shapes.B", to_field="code"),
    "foreign key to a text key": lambda: to("shapes.Text"),
    "foreign key to an unmanaged model": lambda: to("shapes.Unmanaged", db_constraint=False),
    "foreign key without index": lambda: to("shapes.B", db_index=False),
    "one to one": lambda: to("shapes.B", models.OneToOneField),
    "foreign object": lambda: models.ForeignObject(
        "shapes.B", models.CASCADE, from_fields=["id"], to_fields=["id"], related_name="+"
    ),
}

# Each is declared with its table, and added to one; the columns are number, other and text.
INDEXES: dict[str, Callable[[], models.Index]] = {
    "descending": lambda: models.Index(fields=["-number", "text"], name="i"),
    "expression": lambda: models.Index(Lower("text").desc(nulls_last=True), name="i"),
    "partial, covering": lambda: models.Index(
        fields=["number"], include=["text"], condition=Q(other__gt=1) | Q(text="a'b%"), name="i"
    ),
    "operator class": lambda: models.Index(
        fields=["text"], opclasses=["varchar_pattern_ops"], name="i"
    ),
    "brin": lambda: BrinIndex(fields=["number"], pages_per_range=16, name="i"),
    "hash": lambda: HashIndex(fields=["text"], fillfactor=70, name="i"),
    "gin": lambda: GinIndex(OpClass("document", name="jsonb_path_ops"), name="i"),
    "name to be quoted": lambda: models.Index(fields=["number"], name="An index.1"),
}
CONSTRAINTS: dict[str, Callable[[], Any]] = {
    "check": lambda: models.CheckConstraint(condition=Q(number__in=[1, 2]), name="c"),
    "check with a percent": lambda: models.CheckConstraint(
        condition=~Q(text__startswith="50%") | Q(number__isnull=True), name="c"
    ),
    "check of two columns": lambda: models.CheckConstraint(
        condition=Q(number__gt=F("other") + 1), name="c"
    ),
    "unique": lambda: models.UniqueConstraint(fields=["number", "text"], name="u"),
    "unique deferrable": lambda: models.UniqueConstraint(
        fields=["number"], deferrable=models.Deferrable.DEFERRED, name="u"
    ),
    "unique of expressions": lambda: models.UniqueConstraint(
        F("number").desc(), Lower("text"), name="u"
    ),
    "unique, partial": lambda: models.UniqueConstraint(
        fields=["number"], condition=Q(text="%"), name="u"
    ),
    "unique, covering": lambda: models.UniqueConstraint(
        fields=["number"], include=["text"], name="u"
    ),
    "unique, nulls not distinct": lambda: models.UniqueConstraint(
        fields=["number"], nulls_distinct=False, name="u"
    ),
}


def targets(make: Make, field: Any) -> list[Any]:
    """The model that the field refers to, if it is none of the table itself."""
    others = {
        "shapes.B": make.model("B", [key(), ("code", models.IntegerField(unique=True))]),
        "shapes.Text": make.model("Text", [("key", models.SlugField(primary_key=True))]),
        "shapes.Unmanaged": make.model("Unmanaged", [key()], options={"managed": False}),
    }
    name = field.remote_field and field.remote_field.model
    return [others[name]] if name in others else []


def with_table(field: Callable[[], Any]) -> Shape:
    return lambda make: [*targets(make, field()), make.model("A", [key(), ("x", field())])]


def added(field: Callable[[], Any]) -> Shape:
    return lambda make: [
        *targets(make, field()),
        make.model("A", [key()]),
        make.field("A", "x", field()),
    ]


def measured(make: Make, **options: Any) -> Any:
    columns = [
        ("number", models.IntegerField(null=True)),
        ("other", models.IntegerField(null=True)),
        ("text", models.CharField(max_length=9)),
        ("document", models.JSONField(null=True)),
    ]
    return make.model("A", [key(), *columns], options=options)


TABLES: dict[str, Shape] = {
    "composite primary key": lambda make: [
        make.model(
            "A",
            [
                ("pk", models.CompositePrimaryKey("a", "b")),
                ("a", models.IntegerField()),
                ("b", models.IntegerField()),
            ],
        ),
        make.field("A", "c", models.IntegerField(null=True)),
    ],
    "primary keys": lambda make: [
        make.model("A", [("id", models.SmallAutoField(primary_key=True))]),
        make.model("B", [("id", models.PositiveIntegerField(primary_key=True))]),
        make.model("D", [("a", to(kind=models.OneToOneField, null=False, primary_key=True))]),
        make.field("B", "d", to("shapes.D")),
    ],
    "inheritance": lambda make: [
        make.model("A", [key(), ("x", models.IntegerField())]),
        make.model("P", [], options={"proxy": True}, bases=("shapes.A",)),
        make.model(
            "D",
            [
                (
                    "a_ptr",
                    to(kind=models.OneToOneField, null=False, primary_key=True, parent_link=True),
                )
            ],
            bases=("shapes.A",),
        ),
        make.field("D", "y", models.IntegerField(null=True, db_index=True)),
    ],
    "circle of foreign keys": lambda make: [
        make.model("A", [key()]),
        make.model("B", [key(), ("a", to())]),
        make.field("A", "b", to("shapes.B")),
    ],
    "order_with_respect_to": lambda make: [
        make.model("A", [key()]),
        make.model("B", [key(), ("a", to())], options={"order_with_respect_to": "a"}),
    ],
    "unique_together": lambda make: [measured(make, unique_together={("number", "text")})],
    "unique twice": lambda make: [
        make.model(
            "A",
            [key(), ("x", models.IntegerField(unique=True))],
            options={"unique_together": {("x",)}},
        )
    ],
    "index_together": lambda make: [measured(make, index_together={("number", "text")})],
    "comments": lambda make: [measured(make, db_table_comment="a table's")],
    "table with a dot": lambda make: [
        measured(make, db_table="A table.1"),
        make.field("A", "x", models.IntegerField(null=True, unique=True)),
    ],
    "table in a schema": lambda make: [
        measured(make, db_table='"django_suite_shapes"."t"'),
        make.field("A", "x", to()),
    ],
    "table in a schema, by inner quotes": lambda make: [
        measured(make, db_table='django_suite_shapes"."t'),
        make.field("A", "x", to()),
    ],
    "longest names": lambda make: [
        make.model(
            "A",
            [key(), ("x" * 55, models.IntegerField(unique=True))],
            options={"db_table": "t" * 63},
        ),
        make.field("A", "y" * 55, models.IntegerField(null=True, db_index=True)),
    ],
    "many to many": lambda make: [
        make.model("A", [key()]),
        make.model("B", [key(), ("x", models.ManyToManyField("shapes.A"))]),
        make.field("A", "y", models.ManyToManyField("self")),
    ],
}


def with_index(index: Callable[[], Any]) -> Shape:
    return lambda make: [measured(make, indexes=[index()])]


def index_added(index: Callable[[], Any]) -> Shape:
    return lambda make: [measured(make), make.index("A", index())]


def with_constraint(constraint: Callable[[], Any]) -> Shape:
    return lambda make: [measured(make, constraints=[constraint()])]


def constraint_added(constraint: Callable[[], Any]) -> Shape:
    return lambda make: [measured(make), make.constraint("A", constraint())]


SHAPES: dict[str, Shape] = {
    **{f"{name}, with its table": with_table(field) for name, field in FIELDS.items()},
    **{f"{name}, added": added(field) for name, field in FIELDS.items()},
    **{f"index {name}, with its table": with_index(each) for name, each in INDEXES.items()},
    **{f"index {name}, added": index_added(each) for name, each in INDEXES.items()},
    **{f"{name}, with its table": with_constraint(each) for name, each in CONSTRAINTS.items()},
    **{f"{name}, added": constraint_added(each) for name, each in CONSTRAINTS.items()},
    **TABLES,
}
