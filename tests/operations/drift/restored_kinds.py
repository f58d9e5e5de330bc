"""Every kind of expression that a component can hold, in a few tables with one component for each."""

import datetime as dt
import decimal
import uuid
from typing import Any

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import (
    ArrayField,
    DateRangeField,
    HStoreField,
    IntegerRangeField,
)
from django.contrib.postgres.functions import RandomUUID
from django.contrib.postgres.operations import BtreeGistExtension, HStoreExtension
from django.contrib.postgres.search import SearchVector, SearchVectorField
from django.db import models
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ModelState
from django.db.models import Case, ExpressionWrapper, F, Func, Q, Value, When
from django.db.models.functions import (
    Abs,
    Cast,
    Coalesce,
    Collate,
    Concat,
    ExtractYear,
    JSONObject,
    Left,
    Length,
    Lower,
    LPad,
    Now,
    NullIf,
    Pi,
    Random,
    Replace,
    Round,
    StrIndex,
    Substr,
    Trim,
    TruncMonth,
    Upper,
)
from django.db.models.lookups import Exact, GreaterThan, In

from tests.operations.dump_and_restore import creations_of
from tests.operations.scratch_schema import APP

TEXT, NUMBER, TRUTH = models.TextField(), models.IntegerField(null=True), models.BooleanField()
CHARS = models.CharField(max_length=9)

FIELDS: dict[str, Any] = {
    "id": models.BigAutoField(primary_key=True),
    "chars": models.CharField(max_length=9),
    "text": models.TextField(),
    "slug": models.SlugField(null=True),
    "small": models.SmallIntegerField(null=True),
    "number": models.IntegerField(null=True),
    "big": models.BigIntegerField(),
    "money": models.DecimalField(max_digits=9, decimal_places=2, null=True),
    "float": models.FloatField(null=True),
    "day": models.DateField(null=True),
    "at": models.DateTimeField(null=True),
    "time": models.TimeField(null=True),
    "lasting": models.DurationField(null=True),
    "truth": models.BooleanField(),
    "data": models.JSONField(null=True),
    "uid": models.UUIDField(null=True),
    "ip": models.GenericIPAddressField(null=True),
    "words": ArrayField(models.CharField(max_length=9), null=True),
    "numbers": ArrayField(models.IntegerField(), null=True),
    "range": IntegerRangeField(null=True),
    "days": DateRangeField(null=True),
    "pairs": HStoreField(null=True),
}

CONDITIONS: dict[str, Q] = {
    "chars in": Q(chars__in=["x", "y"]),
    "chars in one": Q(chars__in=["x"]),
    "chars in expressions": Q(chars__in=[F("text"), Value("x")]),
    "chars collated in": Q(In(Collate("chars", "C"), ["x", "y"])),
    "chars not in": ~Q(chars__in=["it's", "y"]),
    "chars range": Q(chars__range=("a", "b")),
    "chars like": Q(chars__startswith="a"),
    "chars contain": Q(chars__contains="a%"),
    "chars match": Q(chars__regex=r"^\d+$"),
    "text in": Q(text__in=["x", "y"]),
    "slug in": Q(slug__in=["x", "y"]),
    "numbers in": Q(number__in=[1, 2], small__in=[1, 2], big__in=[1, 2]),
    "money in": Q(money__in=[decimal.Decimal("1.5"), decimal.Decimal(2)]),
    "money range": Q(money__range=(1, 2)),
    "float in": Q(float__in=[1.5, 2.0]),
    "day in": Q(day__in=[dt.date(2020, 1, 1), dt.date(2021, 1, 1)]),
    "year": Q(day__year=2020, day__month__gt=2),
    "at": Q(at__gt=dt.datetime(2020, 1, 1, tzinfo=dt.UTC)),
    "time": Q(time__gt=dt.time(1, 2)),
    "duration": Q(lasting__gt=dt.timedelta(days=1)),
    "truth": Q(truth=True) | Q(truth=False, number=1),
    "null": Q(number__isnull=False, data__isnull=True),
    "json": Q(data__a=1, data__b__c__gt=2, data__has_key="a", data__contains={"a": [1]}),
    "uuid in": Q(uid__in=[uuid.UUID(int=1), uuid.UUID(int=2)]),
    "ip in": Q(ip__in=["127.0.0.1", "::1"]),
    "array": Q(words__contains=["a"], words__len=2, words__0="a", numbers__contained_by=[1, 2]),
    "array equal": Q(words=["a", "b"]) | Q(numbers=[1, 2]),
    "range": Q(range__contains=5) | Q(range=(1, 5)) | Q(range__startswith=1),
    "date range": Q(days__overlap=(dt.date(2020, 1, 1), None)),
    "hstore": Q(pairs__a="b"),
    "functions": Q(GreaterThan(Length("chars"), 3)) & Q(Exact(Lower("chars"), F("chars"))),
    "coalesce": Q(Exact(Coalesce("chars", Value("x")), Value("y"))),
    "and or not": (Q(number__gt=1) | Q(chars="x")) & ~Q(text="y"),
    "xor": Q(number__gt=1) ^ Q(chars="x"),
    "case": Q(Exact(Case(When(chars__in=["x", "y"], then=Value(1)), default=Value(0)), 1)),
    "arithmetic": Q(number__gt=F("small") % 3 + 1),
    "cast": Q(Exact(Cast("number", models.CharField(max_length=4)), Value("x"))),
}
# What only a check may do, because its functions are not immutable; a generated column may have no such
# comparison of a text without a collation.
CHECKS = {
    "interval": Q(at__gt=F("day") + dt.timedelta(days=1)),
    "iexact": Q(chars__iexact="a") | Q(chars__icontains="b"),
    "json object": Q(data=JSONObject(a=Value("x"), b=Value(2))),
}
EXPRESSIONS: dict[str, tuple[Any, Any]] = {
    "when in": (Case(When(chars__in=["x", "y"], then=Value(1)), default=Value(0)), NUMBER),
    "when text": (Case(When(chars__in=["x", "y"], then=Value("a")), default=Value("b")), CHARS),
    "when collated": (
        Case(When(In(Collate("chars", "C"), ["x", "y"]), then=Value(1)), default=Value(0)),
        NUMBER,
    ),
    "case of truths": (Case(When(number__in=[1, 2], then=True), default=False), TRUTH),
    "condition": (
        ExpressionWrapper(Q(number__gt=1, chars__in=["a", "b"]), output_field=TRUTH),
        TRUTH,
    ),
    "upper": (Upper("chars"), CHARS),
    "length": (Length("chars"), NUMBER),
    "coalesce": (Coalesce("chars", Value("x")), CHARS),
    "joined": (
        Func("chars", Value(" "), "text", template="(%(expressions)s)", arg_joiner=" || "),
        TEXT,
    ),
    "tax": (
        F("money") * decimal.Decimal("1.19"),
        models.DecimalField(max_digits=12, decimal_places=2, null=True),
    ),
    "cast": (Cast("number", TEXT), TEXT),
    "left": (Left("chars", 2), CHARS),
    "padded": (LPad("chars", 5, Value("0")), CHARS),
    "replaced": (Replace("chars", Value("a"), Value("b")), CHARS),
    "part": (Substr("chars", 1, 3), CHARS),
    "place": (StrIndex("chars", Value("x")), NUMBER),
    "trimmed": (Trim("chars"), CHARS),
    "none": (NullIf("chars", Value("")), models.CharField(max_length=9, null=True)),
    "year": (ExtractYear("day"), NUMBER),
    "rounded": (Round("float"), models.FloatField(null=True)),
    "absolute": (Abs(F("number") / 2 - 1), NUMBER),
}
# Django lets COLLATE stand at the top of an indexed expression only.
INDEXED = {name: each for name, (each, _) in EXPRESSIONS.items() if "collated" not in name}
# What a generated column may be, and has no operator class for an index.
GENERATED = {
    "search": (SearchVector("text", "chars", config="english", weight="A"), SearchVectorField()),
    "list": (Func("chars", Value(","), function="string_to_array"), ArrayField(TEXT)),
    "array": (Func("chars", "chars", template="ARRAY[%(expressions)s]"), ArrayField(CHARS)),
    "range": (Func("number", F("number") + 1, function="int4range"), IntegerRangeField(null=True)),
    "json": (F("data__a"), models.JSONField(null=True)),
}
DEFAULTS: dict[str, Any] = {
    "json object": models.JSONField(db_default=JSONObject(a=Value(1))),
    "json objects": models.JSONField(
        db_default=JSONObject(a=Value("x"), b=JSONObject(c=Value(None, TEXT)))
    ),
    "json": models.JSONField(db_default={"a": [1, "it's"]}),
    "chars": models.CharField(max_length=9, db_default="x"),
    "concat": models.CharField(max_length=9, db_default=Concat(Value("a"), Value("b"))),
    "upper": models.CharField(max_length=9, db_default=Upper(Value("b"))),
    "case": models.CharField(
        max_length=9,
        db_default=Case(When(Exact(Value("x"), Value("y")), then=Value("n")), default=Value("m")),
    ),
    "now": models.DateTimeField(db_default=Now()),
    "today": models.DateField(db_default=Now()),
    "month": models.DateTimeField(db_default=TruncMonth(Now())),
    "later": models.DateTimeField(db_default=Now() + dt.timedelta(days=3)),
    "uuid": models.UUIDField(db_default=RandomUUID()),
    "array": ArrayField(CHARS, db_default=["a", "b"]),
    "nothing": ArrayField(TEXT, db_default=[]),
    "numbers": ArrayField(NUMBER, db_default=[1, 2]),
    "money": models.DecimalField(max_digits=9, decimal_places=2, db_default=decimal.Decimal("1.5")),
    "float": models.FloatField(db_default=0.1),
    "pi": models.FloatField(db_default=Pi()),
    "random": models.FloatField(db_default=Random()),
    "duration": models.DurationField(db_default=dt.timedelta(days=1, hours=2)),
    "day": models.DateField(db_default=dt.date(2020, 1, 1)),
    "at": models.DateTimeField(db_default=dt.datetime(2020, 1, 1, tzinfo=dt.UTC)),
    "bytes": models.BinaryField(db_default=b"ab"),
    "range": IntegerRangeField(db_default=(1, 5)),
    "pairs": HStoreField(db_default={"a": "b"}),
    "ip": models.GenericIPAddressField(db_default="127.0.0.1"),
    "sum": models.IntegerField(db_default=Value(1) + Value(2)),
    "length": models.IntegerField(db_default=Length(Value("abc"))),
}


def _generated(expression: Any, output: Any) -> Any:
    return models.GeneratedField(expression=expression, output_field=output, db_persist=True)


def _fields(columns: dict[str, Any]) -> list[tuple[str, Any]]:
    further = {f"c_{name.replace(' ', '_')}": field for name, field in columns.items()}
    return list({**FIELDS, **further}.items())


def _model(name: str, columns: dict[str, Any] | None = None, **options: Any) -> ModelState:
    return ModelState(APP, name, _fields(columns or {}), options)


def _wrapped(condition: Q) -> ExpressionWrapper:
    return ExpressionWrapper(condition, output_field=TRUTH)


def _exclusion(name: str, expression: Any, condition: Q | None = None) -> ExclusionConstraint:
    return ExclusionConstraint(
        name=f"exclusion {name}",
        expressions=[(expression, "="), ("range", "&&")],
        condition=condition,
    )


MODELS = {
    each.name: each
    for each in (
        _model(
            "Checks",
            constraints=[
                models.CheckConstraint(condition=condition, name=f"check {name}")
                for name, condition in {**CONDITIONS, **CHECKS}.items()
            ],
        ),
        _model(
            "Indexes",
            indexes=[
                models.Index(fields=["number"], condition=condition, name=f"i {name}")
                for name, condition in CONDITIONS.items()
            ],
        ),
        _model(
            "Keys",
            indexes=[
                *(
                    models.Index(_wrapped(condition), name=f"k {name}")
                    for name, condition in CONDITIONS.items()
                    if "collated" not in name
                ),
                *(models.Index(each, name=f"e {name}") for name, each in INDEXED.items()),
            ],
        ),
        _model(
            "Uniques",
            constraints=[
                *(
                    models.UniqueConstraint(fields=["number"], condition=each, name=f"u {name}")
                    for name, each in CONDITIONS.items()
                ),
                *(
                    models.UniqueConstraint(each, name=f"unique {name}")
                    for name, each in INDEXED.items()
                ),
            ],
        ),
        _model(
            "Exclusions",
            constraints=[
                *(_exclusion(f"if {name}", "number", each) for name, each in CONDITIONS.items()),
                *(_exclusion(name, each) for name, each in INDEXED.items()),
            ],
        ),
        _model(
            "Generated",
            {
                **{f"if {name}": _generated(_wrapped(q), TRUTH) for name, q in CONDITIONS.items()},
                **{name: _generated(*each) for name, each in {**EXPRESSIONS, **GENERATED}.items()},
            },
        ),
        _model("Defaults", DEFAULTS),
    )
}

OPERATIONS: list[Operation] = [
    BtreeGistExtension(),
    HStoreExtension(),
    *creations_of(*MODELS.values()),
]
