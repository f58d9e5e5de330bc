"""Fields whose columns cannot be told without their models."""

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import migrations, models

from benchmarks.lint.cases.case import tables
from tests.operations.lint.graph import faults


class Odd(models.Field):  # type: ignore[type-arg]
    """A field that asks its model for the type of the column."""

    def db_type(self, connection: Any) -> str:
        return f"{connection.ops.quote_name(self.model._meta.db_table)}_type"


def broken(before: Any, after: Any) -> list[str]:
    add = migrations.AddField("item", "x", before)
    alter = migrations.AlterField("item", "x", after)
    return [each.fault.rule.id for each in faults((tables(), True), ([add], True), ([alter], True))]


def test_a_field_whose_type_is_unknown_is_known_by_its_class() -> None:
    assert broken(Odd(null=True), Odd(null=True, help_text="x")) == []
    assert broken(Odd(null=True), models.TextField(null=True)) == ["L108", "L207"]


def test_the_type_of_a_foreign_key_is_that_of_its_target() -> None:
    key = models.ForeignKey(
        "depot.Maker", models.CASCADE, null=True, db_constraint=False, db_column="x"
    )
    unindexed = key.clone()
    unindexed.db_index = False
    assert broken(models.BigIntegerField(null=True), unindexed) == []
    assert broken(models.IntegerField(null=True), unindexed) == ["L108"]
    assert broken(models.BigIntegerField(null=True), key) == ["L101"]


def test_a_foreign_key_to_itself_through_others_has_no_type() -> None:
    circle = models.OneToOneField("depot.Ring", models.CASCADE, primary_key=True)
    ring = migrations.CreateModel("Ring", [("ring", circle)])
    alter = migrations.AlterField("ring", "ring", circle)
    assert faults((tables(), True), ([ring], True), ([alter], True)) == []


def test_types_of_more_than_one_word_and_arrays() -> None:
    texts = ArrayField(models.CharField(max_length=9), null=True)
    assert broken(texts, ArrayField(models.CharField(max_length=9), null=True, blank=True)) == []
    assert broken(texts, ArrayField(models.TextField(), null=True)) == ["L108", "L207"]
    time = models.DateTimeField(null=True)
    assert broken(time, models.DateTimeField(null=True, auto_now=True)) == []
    assert broken(
        models.FloatField(null=True), models.DecimalField(null=True, max_digits=9, decimal_places=2)
    ) == ["L108", "L207"]


def test_a_composite_key_is_judged_like_any_other_field() -> None:
    field = models.CompositePrimaryKey("id", "name")
    found = faults((tables(), True), ([migrations.AddField("item", "pk", field)], True))
    assert {each.fault.rule.id for each in found} <= {"L102", "L205"}
