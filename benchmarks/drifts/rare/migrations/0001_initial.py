import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.db.models.constraints
import django.db.models.deletion
import django.db.models.fields.json
import django.db.models.functions.comparison
import django.db.models.functions.datetime
import django.db.models.functions.text
from django.db import migrations, models

import benchmarks.drifts.rare.models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Area",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "code",
                    models.CharField(
                        db_collation="C", db_column="Area Code", max_length=9, unique=True
                    ),
                ),
                ("number", benchmarks.drifts.rare.models.Serial()),
                ("remark", benchmarks.drifts.rare.models.Guarded()),
                (
                    "points",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=django.contrib.postgres.fields.ArrayField(
                            base_field=models.DecimalField(decimal_places=2, max_digits=5), size=2
                        ),
                        size=None,
                    ),
                ),
                ("address", models.GenericIPAddressField(null=True, unique=True)),
                ("facts", models.JSONField(db_default={"a": [1]}, default=dict)),
                ("lasts", models.DurationField(db_index=True)),
                ("day", models.DateField(null=True)),
            ],
            options={
                "db_table": '"public"."Rare Area"',
                "db_table_comment": "it's rare",
                "indexes": [
                    models.Index(fields=["-day", "code"], name="area_day_code"),
                    models.Index(
                        django.db.models.fields.json.KeyTextTransform("b", "facts"),
                        models.OrderBy(
                            django.db.models.functions.comparison.Coalesce("day", "day"),
                            descending=True,
                            nulls_last=True,
                        ),
                        name="area_kt",
                    ),
                    models.Index(
                        django.db.models.functions.datetime.ExtractYear("day"),
                        condition=models.Q(
                            models.Q(("code__startswith", "50%"), ("day__year", 2020)),
                            ("facts__a", []),
                            _connector="OR",
                        ),
                        name="area_year",
                    ),
                    models.Index(
                        django.contrib.postgres.indexes.OpClass(
                            django.db.models.functions.text.Lower("code"), name="text_pattern_ops"
                        ),
                        name="area_lower",
                    ),
                    django.contrib.postgres.indexes.HashIndex(fields=["code"], name="area_hash"),
                    django.contrib.postgres.indexes.BrinIndex(
                        fields=["day"], name="area_brin", pages_per_range=4
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("code__iregex", "^\\\\d%"), _negated=True),
                            ("day__range", ("2000-01-01", "2100-01-01")),
                        ),
                        name="area_check",
                    ),
                    models.UniqueConstraint(
                        deferrable=django.db.models.constraints.Deferrable["DEFERRED"],
                        fields=("number",),
                        name="area_number",
                    ),
                    models.UniqueConstraint(
                        django.db.models.functions.text.Lower("code"),
                        models.F("day"),
                        include=("lasts",),
                        name="area_unique",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Place",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "area_id",
                        "number",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("number", models.SmallIntegerField()),
                (
                    "area",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, to="rare.area", to_field="code"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Path",
            fields=[
                ("id", models.SmallAutoField(primary_key=True, serialize=False)),
                (
                    "near",
                    models.ManyToManyField(
                        db_table="rare_near_near_near_near_near_near_near_near_near_near_near_",
                        to="rare.path",
                    ),
                ),
                (
                    "parent",
                    models.ForeignKey(
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        to="rare.path",
                    ),
                ),
                (
                    "twin",
                    models.OneToOneField(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="rare.path",
                    ),
                ),
            ],
            options={
                "order_with_respect_to": "parent",
            },
        ),
    ]
