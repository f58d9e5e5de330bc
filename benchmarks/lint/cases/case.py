"""A migration to lint, the tables that stand before it, and the rules that it breaks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import migrations, models
from django.db.migrations.operations.base import Operation

APP = "depot"


@dataclass(frozen=True, slots=True)
class LintCase:
    """A migration, by what it does; `earlier`: the operations of migrations that are released before.

    rules: the ids of all rules that it breaks.
    is_limited: whether `migrate` limits the waits of its statements.
    """

    name: str
    make: Callable[[], Sequence[Operation]]
    rules: str = ""
    atomic: bool = True
    earlier: Callable[[], Sequence[Operation]] | None = None
    is_limited: bool = True


def tables() -> list[Operation]:
    """Return the operations of the first migration."""
    key = ("id", models.BigAutoField(primary_key=True))
    return [
        migrations.CreateModel(
            "Maker",
            [key, ("code", models.CharField(max_length=20)), ("rank", models.IntegerField())],
        ),
        migrations.CreateModel(
            "Item",
            [
                ("id", models.BigAutoField(primary_key=True)),
                ("name", models.CharField(max_length=50)),
                ("note", models.TextField(null=True)),
                ("kind", models.CharField(max_length=20, null=True, default="plain")),
                ("amount", models.IntegerField(default=0)),
                ("price", models.DecimalField(max_digits=8, decimal_places=2)),
                ("state", models.CharField(max_length=10, db_default="new")),
                ("maker_number", models.BigIntegerField(null=True)),
                ("weight", models.IntegerField(null=True, db_column="grams")),
                ("small", models.SmallIntegerField(null=True)),
            ],
            {
                "indexes": [models.Index(fields=["name"], name="item_name")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(small__isnull=False), name="small_set"
                    ),
                    models.UniqueConstraint(fields=["name", "kind"], name="name_kind"),
                ],
            },
        ),
        migrations.CreateModel(
            "Named", [("id", models.BigAutoField(primary_key=True))], {"db_table": "named"}
        ),
        migrations.CreateModel(
            "View", [("id", models.BigAutoField(primary_key=True))], {"managed": False}
        ),
    ]


def fill(apps: Any, schema_editor: Any) -> None:
    apps.get_model(APP, "Item").objects.update(amount=1)


def fill_by_expression(apps: Any, schema_editor: Any) -> None:
    from django.db.models import F

    items = apps.get_model(app_label=APP, model_name="Item").objects
    items.filter(pk__lt=100).update(amount=F("amount") + models.Value(1))


def back(apps: Any, schema_editor: Any) -> None:
    apps.get_model(APP, "Item").objects.update(amount=0)
