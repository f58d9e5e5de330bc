"""Write a project of Django's own operations: contrib apps, one with a history, one of convergent ones."""

from collections.abc import Mapping
from pathlib import Path

SETTINGS = """
import os
from project.environment import database_from_url

SECRET_KEY = "stock"
USE_TZ = True
SITE_ID = 1
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    *(f"django.contrib.{app}" for app in (
        "admin", "auth", "contenttypes", "sessions", "sites", "flatpages", "redirects", "messages",
        "postgres")),
    "signals.operations", "shop", "crate", "folded",
]
MIDDLEWARE = [f"django.contrib.{each}" for each in (
    "sessions.middleware.SessionMiddleware", "auth.middleware.AuthenticationMiddleware",
    "messages.middleware.MessageMiddleware")]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "OPTIONS": {
    "context_processors": ["django.template.context_processors.request",
        "django.contrib.auth.context_processors.auth",
        "django.contrib.messages.context_processors.messages"]}}]
DATABASES = {"default": database_from_url(os.environ["DATABASE_URL"])}
if "SECOND_URL" in os.environ:
    DATABASES["second"] = database_from_url(os.environ["SECOND_URL"])
    DATABASES["lite"] = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
CONVERGENT_MIGRATIONS = {"LOCK_TIMEOUT": 0.05, "LOCK_WAIT": 2.0}
"""

SHOP_1 = """
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    operations = [
        migrations.CreateModel("Maker", [
            ("id", models.AutoField(primary_key=True)),
            ("code", models.CharField(max_length=20, unique=True)),
            ("slug", models.CharField(max_length=50, db_index=True)),
        ]),
        migrations.CreateModel("Tag", [("label", models.CharField(max_length=30, primary_key=True))]),
        migrations.CreateModel("Thing", [
            ("id", models.AutoField(primary_key=True)),
            ("name", models.CharField(max_length=100, unique=True)),
            ("amount", models.PositiveIntegerField(default=0)),
            ("small", models.PositiveSmallIntegerField(null=True)),
            ("note", models.TextField(db_index=True, default="")),
            ("maker", models.ForeignKey("shop.Maker", models.CASCADE)),
            ("main", models.ForeignKey("shop.Tag", models.CASCADE, related_name="+")),
            ("parent", models.ForeignKey("self", models.CASCADE, null=True)),
            ("tags", models.ManyToManyField("shop.Tag")),
            ("obsolete", models.IntegerField(null=True, db_index=True)),
            ("forsaken", models.IntegerField(null=True)),
        ], options={
            "unique_together": {("maker", "note")},
            "index_together": {("name", "amount"), ("amount", "small")},
        }),
        migrations.CreateModel("Gone", [("id", models.AutoField(primary_key=True))]),
        migrations.CreateModel("Elsewhere", [("id", models.AutoField(primary_key=True))],
                               options={"managed": False}),
        migrations.CreateModel("Proxy", [], options={"proxy": True}, bases=("shop.thing",)),
        migrations.CreateModel("Special", [
            ("thing_ptr", models.OneToOneField(
                "shop.Thing", models.CASCADE, parent_link=True, primary_key=True, serialize=False)),
            ("extra", models.BooleanField(default=False)),
        ], bases=("shop.thing",)),
    ]
"""

SHOP_2 = """
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import ArrayField, DateRangeField
from django.contrib.postgres.indexes import BrinIndex, GinIndex, HashIndex
from django.db import migrations, models
from django.db.models.functions import Lower, Now, Upper


class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]
    operations = [
        migrations.AlterField("thing", "name", models.TextField(unique=True)),
        migrations.AlterField("thing", "amount", models.PositiveBigIntegerField(default=0)),
        migrations.RenameField("thing", "note", "remark"),
        migrations.RenameField("thing", "small", "tiny"),
        migrations.RenameIndex("thing", old_fields=("name", "amount"), new_name="thing_name_amount"),
        migrations.AlterUniqueTogether("thing", {("maker", "remark", "amount")}),
        migrations.AlterModelTable("thing", "shop_things"),
        migrations.RenameModel("Maker", "Producer"),
        migrations.AlterField("producer", "id", models.BigAutoField(primary_key=True)),
        migrations.AlterField("tag", "label", models.TextField(primary_key=True)),
        migrations.AddField("thing", "born", models.DateTimeField(db_default=Now())),
        migrations.AddField(
            "thing", "kind", models.CharField(max_length=9, default="old"), preserve_default=False),
        migrations.AddField("thing", "labels", ArrayField(models.CharField(max_length=9), default=list)),
        migrations.AddField("thing", "during", DateRangeField(null=True)),
        migrations.AddField("thing", "loud", models.GeneratedField(
            expression=Upper("name"), output_field=models.TextField(), db_persist=True)),
        migrations.AddField("thing", "deputy", models.OneToOneField(
            "shop.Producer", models.SET_NULL, null=True, related_name="+")),
        migrations.AddField("producer", "best", models.ForeignKey("shop.Thing", models.CASCADE, null=True)),
        migrations.AddIndex("thing", models.Index(Lower("name").desc(), "amount", name="thing_lower")),
        migrations.AddIndex("thing", models.Index(
            fields=["-born"], condition=models.Q(amount__gt=3), include=["kind"], name="thing_partial")),
        migrations.AddIndex("thing", GinIndex(fields=["labels"], name="thing_gin")),
        migrations.AddIndex("thing", HashIndex(fields=["kind"], name="thing_hash")),
        migrations.AddIndex("thing", BrinIndex(fields=["born"], autosummarize=True, name="thing_brin")),
        migrations.AddIndex("thing", models.Index(fields=["kind"], name="thing_to_go")),
        migrations.AddConstraint("thing", models.CheckConstraint(
            condition=models.Q(amount__lt=1000) | models.Q(kind__in=["big", "huge"]), name="thing_amount")),
        migrations.AddConstraint("thing", models.CheckConstraint(
            condition=models.Q(kind__gt=""), name="thing_" + "long_" * 13)),
        migrations.AddConstraint("thing", models.UniqueConstraint(
            fields=["kind", "amount"], deferrable=models.Deferrable.DEFERRED, name="thing_deferred")),
        migrations.AddConstraint("thing", models.UniqueConstraint(
            fields=["kind"], condition=models.Q(amount=1), name="thing_one")),
        migrations.AddConstraint("thing", models.UniqueConstraint(
            Lower("kind"), "born", name="thing_kind_lower")),
        migrations.AddConstraint("thing", models.UniqueConstraint(
            fields=["tiny", "born"], nulls_distinct=False, name="thing_nulls")),
        migrations.AddConstraint("thing", models.UniqueConstraint(
            fields=["born"], include=["kind"], opclasses=["timestamptz_ops"], name="thing_include")),
        migrations.AddConstraint("thing", ExclusionConstraint(
            name="thing_during", expressions=[("during", "&&")])),
    ]
"""

SHOP_3 = """
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("shop", "0002_history")]
    operations = [
        migrations.RemoveField("thing", "obsolete"),
        migrations.RemoveIndex("thing", "thing_to_go"),
        migrations.DeleteModel("Gone"),
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL("ALTER TABLE shop_things ADD COLUMN apart integer")],
            state_operations=[migrations.AddField("thing", "apart", models.IntegerField(null=True))],
        ),
        migrations.SeparateDatabaseAndState(state_operations=[migrations.RemoveField("thing", "forsaken")]),
        migrations.RunSQL(
            "CREATE INDEX thing_by_sql ON shop_things (apart)",
            state_operations=[migrations.AddIndex(
                "thing", models.Index(fields=["apart"], name="thing_by_sql"))],
        ),
        migrations.RunPython(migrations.RunPython.noop),
    ]
"""

CRATE_1 = """
from django.db import migrations, models
from signals import operations


class Migration(migrations.Migration):
    atomic = False
    operations = [
        operations.CreateEnumIfMissing("crate_size", ["small", "large"], later_values=["huge"]),
        operations.CreateTableIfMissing("Crate", [
            ("id", models.BigAutoField(primary_key=True)),
            ("weight", models.IntegerField(null=True)),
        ]),
        migrations.SeparateDatabaseAndState(
            database_operations=[operations.CreateIndexConcurrentlyIfMissing(
                "crate", models.Index(fields=["weight"], name="crate_weight"),
                fallbacks=[models.Index(fields=["id", "-id"], name="crate_fallback")])],
            state_operations=[migrations.AddIndex(
                "crate", models.Index(fields=["weight"], name="crate_weight"))],
        ),
    ]
"""

CRATE_2 = """
from django.db import migrations, models
from signals import operations


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("crate", "0001_initial")]
    operations = [
        operations.CreateEnumIfMissing("crate_size", ["small", "large", "huge"]),
        operations.AddColumnIfMissing(
            "crate", "height", models.IntegerField(null=True), altered_later=True),
        operations.BackfillInBatches("crate", "height", models.Value(7), batch_size=2),
        operations.SetNotNullIfNullable("crate", "height", models.IntegerField()),
        operations.AddUniqueIfMissing("crate", models.UniqueConstraint(
            fields=["weight", "height"], name="crate_unique")),
        operations.AddCheckIfMissing("crate", models.CheckConstraint(
            condition=models.Q(height__gt=0), name="crate_check")),
    ]
"""

CRATE_3 = """
from django.db import migrations, models
from signals import operations


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("crate", "0002_more")]
    operations = [operations.AddColumnIfMissing("crate", "later", models.IntegerField(null=True))]
"""

FOLDED = """
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = {initial}
    replaces = {replaces}
    dependencies = {dependencies}
    operations = [{operations}]
"""
FOLD = """migrations.CreateModel("Fold", [
    ("id", models.AutoField(primary_key=True)), ("first", models.IntegerField())])"""
SECOND = 'migrations.AddField("fold", "second", models.CharField(max_length=3, default="", db_index=True))'
THIRD = 'migrations.AddField("fold", "third", models.IntegerField(null=True))'

FILES = {
    "stock_settings.py": SETTINGS,
    "shop/migrations/0001_initial.py": SHOP_1,
    "shop/migrations/0002_history.py": SHOP_2,
    "shop/migrations/0003_parting.py": SHOP_3,
    "crate/migrations/0001_initial.py": CRATE_1,
    "crate/migrations/0002_more.py": CRATE_2,
    "crate/migrations/0003_later.py": CRATE_3,
    "folded/migrations/0001_initial.py": FOLDED.format(
        initial=True, replaces=[], dependencies=[], operations=FOLD
    ),
    "folded/migrations/0002_second.py": FOLDED.format(
        initial=False, replaces=[], dependencies=[("folded", "0001_initial")], operations=SECOND
    ),
    "folded/migrations/0003_third.py": FOLDED.format(
        initial=False, replaces=[], dependencies=[("folded", "0002_second")], operations=THIRD
    ),
    "folded/migrations/0001_squashed_0003.py": FOLDED.format(
        initial=True,
        replaces=[("folded", name) for name in ("0001_initial", "0002_second", "0003_third")],
        dependencies=[],
        operations=f"{FOLD}, {SECOND}, {THIRD}",
    ),
}


def write_stock_project(folder: Path) -> None:
    """Write the files of the project; only its migrations declare something, its models are empty."""
    write_files(folder, FILES)


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    """Write the files of a project, by their paths; folders of migrations become packages."""
    for path, text in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        if file.parent.name == "migrations":
            (file.parent / "__init__.py").touch()
            (file.parent.parent / "__init__.py").touch()
