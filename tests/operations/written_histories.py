"""Histories of Django's operations that went wrong once, each as short as it can be."""

from typing import Any

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import ArrayField, IntegerRangeField
from django.contrib.postgres.operations import BtreeGistExtension
from django.contrib.postgres.search import SearchVector, SearchVectorField
from django.db import models
from django.db.migrations import (
    AddConstraint,
    AddField,
    AddIndex,
    AlterField,
    AlterIndexTogether,
    AlterModelTable,
    AlterModelTableComment,
    AlterUniqueTogether,
    CreateModel,
    DeleteModel,
    RemoveConstraint,
    RemoveField,
    RemoveIndex,
    RenameField,
    RenameIndex,
    RenameModel,
    SeparateDatabaseAndState,
)
from django.db.models import Case, F, Func, Q, Value, When
from django.db.models.functions import JSONObject

from tests.operations.histories import Step

ID = ("id", models.BigAutoField(primary_key=True))
LONG_NAME = "a_constraint_with_a_name_that_is_longer_than_the_63_bytes_of_postgresql"
NUMBER = models.IntegerField(default=0)


class Cents(models.IntegerField):  # type: ignore[type-arg] # not subscriptable at run time
    """An amount that is written in euros and stored in cents."""

    def get_prep_value(self, value: Any) -> Any:
        return None if value is None else int(value) * 100


class Named(models.TextField):  # type: ignore[type-arg] # not subscriptable at run time
    """A field that asks for its column's name, which only a field of a model has."""

    def db_check(self, connection: Any) -> str:
        return f"{connection.ops.quote_name(self.column)} <> ''"


def model(name: str, **fields: Any) -> CreateModel:
    return CreateModel(name, [ID, *fields.items()])


def char(length: int = 40, **options: Any) -> Any:
    return models.CharField(max_length=length, **options)


def generated(expression: Any, output: Any, **options: Any) -> Any:
    return models.GeneratedField(
        expression=expression, output_field=output, db_persist=True, **options
    )


def altered(before: Any, after: Any) -> list[Step]:
    return [model("Part", a=before), AlterField("part", "a", after)]


def key(to: str, **options: Any) -> Any:
    return models.ForeignKey(to, models.CASCADE, related_name="+", **options)


GENERATED: dict[str, list[Step]] = {
    f"a generated {name} {'with an index' if indexed else 'without an index'}": [
        model("Part", a=models.TextField(), n=NUMBER),
        AddField("part", "g", generated(expression, output, db_index=indexed)),
    ]
    for name, expression, output in (
        ("search vector", SearchVector("a", config="english"), SearchVectorField()),
        (
            "array",
            Func("a", Value(","), function="string_to_array"),
            ArrayField(models.TextField(), null=True),
        ),
        ("range", Func("n", F("n") + 1, function="int4range"), IntegerRangeField(null=True)),
        (
            "choice of texts",
            Case(When(a__in=["a", "b"], then=Value(1)), default=Value(0)),
            models.IntegerField(),
        ),
    )
    for indexed in (False, True)
}

RESTORED: dict[str, list[Step]] = {
    "an exclusion with a list in its condition": [
        BtreeGistExtension(),
        model("Part", n=models.IntegerField(), st=char()),
        AddConstraint(
            "part",
            ExclusionConstraint(
                name="part_n", expressions=[("n", "=")], condition=Q(st__in=["x", "y"])
            ),
        ),
    ],
    "a database default that is an object": [
        model("Part", a=models.JSONField(db_default=JSONObject(a=Value(1))))
    ],
}

FILLED: dict[str, list[Step]] = {
    "NULLs become an array": altered(
        ArrayField(char(), null=True), ArrayField(char(), default=list)
    ),
    "NULLs become a range": altered(
        IntegerRangeField(null=True), IntegerRangeField(default=(1, 5))
    ),
}

RENAMED: dict[str, list[Step]] = {
    "a model that is referred to is renamed": [
        model("A"),
        model("B", a=key("bench.A"), many=models.ManyToManyField("bench.A", related_name="+")),
        RenameModel("A", "C"),
        AddField("b", "c", key("bench.C", null=True)),
    ],
}

TABLES: dict[str, list[Step]] = {
    "a model is renamed, and one with a key to it made": [
        model("A", u=char()),
        RenameModel("A", "C"),
        model("B", a=key("bench.C")),
        AddIndex("c", models.Index(fields=["u"], name="c_u")),
    ],
    "a model is made again after it was deleted": [
        model("Part", a=char(), many=models.ManyToManyField("bench.part")),
        DeleteModel("Part"),
        model("Part", b=models.IntegerField(), many=models.ManyToManyField("bench.part")),
    ],
    "a table gets another name, and an index": [
        model("Part", a=char()),
        AlterModelTable("part", "Other part"),
        AddIndex("part", models.Index(fields=["a"], name="part_a")),
        AddField("part", "b", char(null=True, unique=True)),
    ],
}

TEXTS: dict[str, list[Step]] = {
    "a unique slug becomes a longer text": altered(
        models.SlugField(unique=True), char(80, unique=True)
    ),
    **{
        f"{kind} text becomes {name}": altered(char(**options), new)
        for kind, options in (
            ("an indexed", {"db_index": True}),
            ("a unique", {"unique": True}),
        )
        for name, new in (
            ("an integer", models.IntegerField(**options)),
            ("a plain integer", models.IntegerField()),
            ("a text without a length", models.TextField(**options)),
            ("a plain one", char()),
            ("one with a collation", char(db_collation="C", **options)),
        )
    },
    "a unique text loses its collation": altered(
        char(unique=True, db_collation="C"), char(unique=True)
    ),
    "an array of texts becomes longer": altered(
        ArrayField(char(9), db_index=True), ArrayField(char(20), db_index=True)
    ),
}

NULLS: dict[str, list[Step]] = {
    "NULLs become a text of JSON": altered(
        models.JSONField(null=True), models.JSONField(default="5")
    ),
    "NULLs become a word of JSON": altered(
        models.JSONField(null=True), models.JSONField(default="x")
    ),
    "NULLs become an amount": altered(Cents(null=True), Cents(default=3)),
}

OWN_INDEX = models.Index(fields=["a"], name="own")
OWN_UNIQUE = models.UniqueConstraint(fields=["a"], name="own")
LIKE = models.Index(fields=["a"], name="own", opclasses=["varchar_pattern_ops"])


def with_options(field: Any, **options: Any) -> CreateModel:
    return CreateModel("Part", [ID, ("a", field), ("b", NUMBER)], options)


# Several parts of a model that want the same index; each is there without the others.
TWICE: dict[str, list[Step]] = {
    "an index beside a uniqueness of that field alone": [
        with_options(NUMBER, unique_together={("a",)}),
        RenameModel("Part", "Box"),
        AlterField("box", "a", models.IntegerField(db_index=True)),
        AlterUniqueTogether("box", set()),
    ],
    "an index beside an index of its own name": [
        with_options(NUMBER, indexes=[OWN_INDEX]),
        AlterField("part", "a", models.IntegerField(db_index=True)),
        RemoveIndex("part", "own"),
    ],
    "an index for LIKE beside one of its own name": [
        with_options(char(), indexes=[LIKE]),
        AlterField("part", "a", char(db_index=True)),
        RemoveIndex("part", "own"),
    ],
    "an index beside a UniqueConstraint": [
        with_options(NUMBER, constraints=[OWN_UNIQUE]),
        AlterField("part", "a", models.IntegerField(db_index=True)),
        RemoveConstraint("part", "own"),
    ],
    "an index beside a uniqueness on a condition, whose spelling a new type changes": [
        with_options(char(40)),
        AddConstraint(
            "part",
            models.UniqueConstraint(
                fields=["a"], condition=Q(a__in=["1", "2"]) | Q(id__gt=0), name="own"
            ),
        ),
        AlterField("part", "a", char(9)),
        AlterField("part", "a", char(9, db_index=True)),
    ],
    "a unique field beside a UniqueConstraint": [
        with_options(NUMBER, constraints=[OWN_UNIQUE]),
        AlterField("part", "a", models.IntegerField(unique=True)),
        RemoveConstraint("part", "own"),
    ],
    "a UniqueConstraint beside a unique field": [
        with_options(models.IntegerField(unique=True)),
        AddConstraint("part", OWN_UNIQUE),
        AlterField("part", "a", NUMBER),
    ],
    "a unique field beside a UniqueConstraint, which become one": [
        with_options(char(9, unique=True), constraints=[OWN_UNIQUE]),
        AlterField("part", "a", char(20, unique=True)),
        AlterField("part", "a", char(20)),
        RemoveConstraint("part", "own"),
    ],
    "several UniqueConstraints that become one": [
        with_options(
            NUMBER,
            constraints=[OWN_UNIQUE, models.UniqueConstraint(fields=["a"], name="other")],
        ),
        AlterField("part", "a", models.BigIntegerField(default=0)),
    ],
    "a UniqueConstraint of the primary key": [
        CreateModel(
            "Part", [("a", models.IntegerField(primary_key=True))], {"constraints": [OWN_UNIQUE]}
        ),
    ],
    "fields that are unique together twice": [
        with_options(
            NUMBER,
            constraints=[models.UniqueConstraint(fields=["b", "a"], name="own")],
            unique_together={("a", "b")},
        ),
        AlterUniqueTogether("part", set()),
    ],
}

DEFAULTS: dict[str, list[Step]] = {
    "a default of the database that becomes one of Python": [
        *altered(
            models.SlugField(db_default="1", default="1"), models.SlugField(default="1", null=True)
        ),
        AlterField("part", "a", models.SlugField(db_default="1", default="1", null=True)),
        AlterField("part", "a", models.SlugField(default="1", null=True)),
        AlterField("part", "a", models.SlugField(db_default="1", max_length=60, null=True)),
    ],
}

CLASSES: dict[str, list[Step]] = {
    "a field that asks for its column": [
        model("Part", a=Named(default="x", db_index=True)),
        AddField("part", "b", Named(default="y")),
        AlterField("part", "a", Named(default="z", null=True, db_index=True)),
        RenameField("part", "b", "c"),
        RemoveField("part", "a"),
    ],
}

NAMES: dict[str, list[Step]] = {
    "the field that a foreign key refers to is renamed": [
        model("A", u=models.IntegerField(unique=True)),
        model("B", a=key("bench.A", to_field="u")),
        RenameField("a", "u", "uu"),
    ],
    "a field is renamed under its index": [
        model("Part", a=char()),
        AddIndex("part", models.Index(fields=["a"], name="part_a")),
        (
            RenameField("part", "a", "b"),
            RemoveIndex("part", "part_a"),
            AddIndex("part", models.Index(fields=["b"], name="part_b")),
        ),
    ],
    "a field is renamed under its constraint": [
        model("Part", a=models.IntegerField()),
        AddConstraint("part", models.CheckConstraint(condition=Q(a__gt=0), name="part_a")),
        (RenameField("part", "a", "b"), RemoveConstraint("part", "part_a")),
    ],
    "a column gets the name of its field": [
        model("Part", a=models.IntegerField(db_column="Old name")),
        AlterField("part", "a", models.IntegerField()),
        AddIndex("part", models.Index(fields=["a"], name="part_a")),
    ],
    "foreign keys change their names": [
        model("User"),
        model("Book", author=key("bench.User"), editor=key("bench.User")),
        RenameField("book", "author", "owner"),
        RenameField("book", "editor", "author"),
    ],
    "a field with a table of its own is renamed twice": [
        model("Part", a=NUMBER),
        model("Box", a=models.ManyToManyField("bench.Part")),
        RenameField("box", "a", "e"),
        RenameField("box", "e", "d"),
    ],
    "a moment becomes a time, which nothing casts back": [
        model("Part", a=models.DateTimeField()),
        AlterField("part", "a", models.TimeField()),
    ],
    "texts change their names": [
        model("Book", author=char(db_index=True), editor=models.SlugField(unique=True)),
        RenameField("book", "author", "owner"),
        RenameField("book", "editor", "author"),
    ],
    "a constraint has a name that PostgreSQL cuts off": [
        CreateModel(
            "Part",
            [ID, ("a", models.IntegerField())],
            {"constraints": [models.CheckConstraint(condition=Q(a__gt=0), name=LONG_NAME)]},
        )
    ],
    "a unique field has a uniqueness of its own": [
        CreateModel(
            "Part",
            [ID, ("a", models.IntegerField(unique=True))],
            {"constraints": [models.UniqueConstraint(fields=["a"], name="part_a")]},
        )
    ],
    "a unique field is unique together with none": [
        CreateModel(
            "Part",
            [ID, ("a", models.IntegerField(unique=True))],
            {"unique_together": {("a",)}},
        )
    ],
    "the other side declares the many to many": [
        model("User"),
        model("Group", users=models.ManyToManyField("bench.User", related_name="+")),
        SeparateDatabaseAndState(
            state_operations=[
                RemoveField("group", "users"),
                AddField(
                    "user",
                    "groups",
                    models.ManyToManyField(
                        "bench.Group", related_name="+", db_table="bench_group_users"
                    ),
                ),
            ]
        ),
    ],
}

PAIR = models.Index(fields=["a", "b"], name="pair")
PAIRED = {"a": models.IntegerField(null=True), "b": models.IntegerField(null=True)}
PERIOD = ExclusionConstraint(name="apart", expressions=[("r", "&&")])


def paired(**options: Any) -> CreateModel:
    return CreateModel("Part", [ID, *PAIRED.items()], options)


SETS_AND_NAMES: dict[str, list[Step]] = {
    "an index that is renamed twice and goes": [
        paired(indexes=[PAIR]),
        RenameIndex("part", new_name="second", old_name="pair"),
        RenameIndex("part", new_name="third", old_name="second"),
        RemoveIndex("part", "third"),
    ],
    "an index whose old name another one gets": [
        paired(indexes=[PAIR]),
        RenameIndex("part", new_name="second", old_name="pair"),
        AddIndex("part", models.Index(fields=["b"], name="pair")),
    ],
    "an index of index_together that gets a name": [
        paired(index_together={("a", "b")}),
        RenameIndex("part", new_name="named", old_fields=("a", "b")),
        RemoveIndex("part", "named"),
    ],
    "an index of index_together of a table of another name that gets a name": [
        paired(index_together={("a", "b")}),
        AlterModelTable("part", "Table 1"),
        RenameIndex("part", new_name="named", old_fields=("a", "b")),
    ],
    "sets that get another order, and go": [
        paired(unique_together={("a", "b")}, index_together={("a", "b")}),
        AlterUniqueTogether("part", {("b", "a")}),
        AlterIndexTogether("part", {("b", "a")}),
        AlterUniqueTogether("part", set()),
        AlterIndexTogether("part", set()),
    ],
    "sets of a field that is renamed": [
        paired(),
        AlterUniqueTogether("part", {("a", "b")}),
        AlterIndexTogether("part", {("a", "b")}),
        RenameField("part", "a", "c"),
        AlterUniqueTogether("part", {("c", "b"), ("b",)}),
        AlterIndexTogether("part", set()),
    ],
    "an exclusion of a table with rows that comes and goes": [
        model("Part", r=IntegerRangeField(null=True)),
        AddConstraint("part", PERIOD),
        RemoveConstraint("part", "apart"),
    ],
    "comments that come, change and go": [
        model("Part", a=char()),
        AlterModelTableComment("part", "it's new"),
        AlterField("part", "a", char(db_comment="it's new")),
        AlterField("part", "a", char(60, db_comment="longer \\ too")),
        AlterModelTableComment("part", None),
        AlterField("part", "a", char(60)),
    ],
}

HISTORIES = {
    **GENERATED,
    **RESTORED,
    **FILLED,
    **RENAMED,
    **TABLES,
    **TEXTS,
    **NULLS,
    **TWICE,
    **DEFAULTS,
    **CLASSES,
    **NAMES,
    **SETS_AND_NAMES,
}
