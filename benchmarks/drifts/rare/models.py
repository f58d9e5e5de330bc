"""Kinds of fields, keys and indexes that are rare, and that a verification must not trip over."""

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex, HashIndex, OpClass
from django.db import models
from django.db.models.fields.json import KT
from django.db.models.functions import Coalesce, ExtractYear, Lower


class Serial(models.Field):  # type: ignore[type-arg]
    """A field that numbers as PostgreSQL did before it had identity columns."""

    def db_type(self, connection: Any) -> str:
        return "serial"


class Guarded(models.Field):  # type: ignore[type-arg]
    """A field that puts more than its type into the column's definition."""

    def db_type(self, connection: Any) -> str:
        return "text DEFAULT 'none'::text"

    def db_check(self, connection: Any) -> str:
        return f"{connection.ops.quote_name(self.column)} <> ''"


class Area(models.Model):
    code = models.CharField(max_length=9, unique=True, db_collation="C", db_column="Area Code")
    number = Serial()
    remark = Guarded()
    points = ArrayField(ArrayField(models.DecimalField(max_digits=5, decimal_places=2), size=2))
    address = models.GenericIPAddressField(null=True, unique=True)
    facts = models.JSONField(default=dict, db_default={"a": [1]})
    lasts = models.DurationField(db_index=True)
    day = models.DateField(null=True)

    class Meta:
        db_table = '"public"."Rare Area"'
        db_table_comment = "it's rare"
        indexes = (
            models.Index(fields=["-day", "code"], name="area_day_code"),
            models.Index(
                KT("facts__b"), Coalesce("day", "day").desc(nulls_last=True), name="area_kt"
            ),
            models.Index(
                ExtractYear("day"),
                condition=models.Q(day__year=2020, code__startswith="50%") | models.Q(facts__a=[]),
                name="area_year",
            ),
            models.Index(OpClass(Lower("code"), name="text_pattern_ops"), name="area_lower"),
            HashIndex(fields=["code"], name="area_hash"),
            BrinIndex(fields=["day"], pages_per_range=4, name="area_brin"),
        )
        constraints = (
            models.CheckConstraint(
                condition=~models.Q(code__iregex=r"^\\d%")
                & models.Q(day__range=("2000-01-01", "2100-01-01")),
                name="area_check",
            ),
            models.UniqueConstraint(
                fields=["number"], deferrable=models.Deferrable.DEFERRED, name="area_number"
            ),
            models.UniqueConstraint(Lower("code"), "day", include=["lasts"], name="area_unique"),
        )

    def __str__(self) -> str:
        return self.code


class Place(models.Model):
    pk = models.CompositePrimaryKey("area_id", "number")
    area = models.ForeignKey(Area, models.CASCADE, to_field="code")
    number = models.SmallIntegerField()

    def __str__(self) -> str:
        return str(self.number)


class Path(models.Model):
    id = models.SmallAutoField(primary_key=True)
    parent = models.ForeignKey("self", models.CASCADE, null=True, db_constraint=False)
    twin = models.OneToOneField("self", models.SET_NULL, null=True, related_name="+")
    near = models.ManyToManyField("self", db_table="rare_" + "near_" * 11)

    class Meta:
        order_with_respect_to = "parent"

    def __str__(self) -> str:
        return str(self.id)
