"""An empty database: forwards, back to zero, forwards; and what others say of the result."""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from tests.postgres.catalog_facts import catalog_versions, facts
from tests.postgres.databases import ROOT, Database, process_environment

Copy = Callable[[str], Database]

NOTHING = {
    "columns": set(),
    "constraints": set(),
    "indexes": set(),
    "sequences": set(),
    "types": set(),
}


def test_a_real_migrate_makes_everything_and_the_next_one_nothing(copy: Copy) -> None:
    database = copy("empty")
    first = database.manage("migrate")
    assert (first.returncode, first.stderr) == (0, "")
    assert "Applying signals.0012_signal_state... OK" in first.stdout
    before = catalog_versions(database)
    second = database.manage("migrate")
    assert (second.returncode, second.stderr) == (0, "")
    assert "No migrations to apply." in second.stdout
    assert catalog_versions(database) == before


def test_back_to_zero_leaves_nothing_of_the_application(copy: Copy) -> None:
    database = copy("clean 0013")
    database.migrate_to_nothing()
    assert facts(database) == NOTHING
    assert database.applied() == []


def test_forward_again_after_zero_gives_the_same_catalog(
    copy: Copy, prepared: Callable[[str], Database]
) -> None:
    database = copy("clean 0013")
    database.migrate("zero")
    database.migrate()
    assert facts(database) == facts(prepared("clean 0013"))


def test_each_migration_goes_one_step_back_and_forward_again(copy: Copy) -> None:
    """What a migration made is there again, and what the earlier ones made never went."""
    database = copy("empty")
    names = [f"{number:04}" for number in range(1, 14)]
    for before, name in zip(["zero", *names], names, strict=False):
        earlier = facts(database)
        database.migrate(name)
        made = facts(database)
        database.migrate(before)
        left = facts(database)
        for kind in ("indexes", "constraints", "sequences"):
            kept = {row for row in left[kind] if not str(row[0]).startswith("signal_")}
            assert kept >= {row for row in earlier[kind] if row in made[kind]}, (name, kind)
        database.migrate(name)
        assert facts(database) == made, name


def test_a_second_run_without_djangos_memory_sends_no_ddl(copy: Copy) -> None:
    database = copy("clean 0013")
    before, names = catalog_versions(database), database.applied()
    database.forget()
    database.migrate()
    assert catalog_versions(database) == before
    assert database.applied() == names


def test_models_and_migrations_agree(copy: Copy) -> None:
    done = copy("empty").manage_by_new_interpreter(
        "makemigrations", "--check", "--dry-run", env={"PYTHONWARNINGS": "error"}
    )
    assert (done.returncode, done.stdout) == (0, "No changes detected\n"), done.stderr


# sqldiff (django-extensions 4.1) cannot read a descending index (it asks the model for a field
# named "-last_ts"), so its own extension point gets a class that leaves the sign out.
SQLDIFF = """
import json, sys, django
django.setup()
from django.apps import apps
from django_extensions.management.commands import sqldiff
class Differences(sqldiff.PostgresqlSQLDiff):
    def expand_together(self, together, meta):
        plain = [[name.lstrip("-") for name in names] for names in together]
        return super().expand_together(plain, meta)
options = dict.fromkeys(("all_applications", "include_proxy_models", "include_defaults", "sql",
                         "only_existing", "dense_output"), False)
models = list(apps.get_app_config("signals").get_models(include_auto_created=True))
diff = Differences(models, options, sys.stdout, sys.stderr)
diff.load()
diff.find_differences()
print(json.dumps([[model, *difference] for _, model, found in diff.differences
                  for difference in found]))
"""


def limit_of_sqldiff(database: Database, kind: str, details: list[Any]) -> str:
    """Why the difference is sqldiff's own, told by the catalog; empty if it is a real one."""
    catalog = facts(database)
    if kind == "comment" and details[0].startswith("Unknown database type for field 'goplus_risk'"):
        return "it has no name for the oid of an enum"
    table, name = details[:2]
    constraints = {row[:3] for row in catalog["constraints"]}
    if kind == "index-missing-in-model":
        is_check = (table, name, "c") in constraints or name.endswith("_not_null")
        return "information_schema shows NOT NULL too, and it takes a check for an index" * is_check
    if kind == "unique-missing-in-model":
        is_there = not constraints.isdisjoint({(table, name, "p"), (table, name, "u")})
        return "it reads no CompositePrimaryKey or UniqueConstraint of one field" * is_there
    if kind == "index-missing-in-db":
        indexes = {row[1] for row in catalog["indexes"]}
        unseen = {  # of the first, the column event_key as event_id
            "signals": {"ix_signals_event_key_ts", "ix_signals_topic_id_newest"},
            "onchain_features": {"ix_onf_token", "ix_onf_population", "ix_onf_address_newest"},
            "signal_events": {"ix_signal_events_run_newest"},
            "events": {
                *("ix_events_key_prefix", "ix_events_symbol_newest"),
                *("ix_events_address_newest", "ix_events_topic_newest"),
            },
        }
        known = {"event_id,ts", "", "chain,window_minutes,as_of_ts"}
        is_there = unseen.get(table, {""}) <= indexes and ",".join(name) in known
        return "it reads no db_column, no expression and no INCLUDE of an index" * is_there
    if kind in ("field-type-differ", "field-parameter-differ"):
        with database.connect() as session:
            session.execute(f"CREATE TEMPORARY TABLE wanted (x {details[2]})".encode())
            wanted = session.execute(
                "SELECT format_type(atttypid, atttypmod) FROM pg_attribute"
                " WHERE attrelid = 'pg_temp.wanted'::regclass AND attname = 'x'"
            ).fetchone()
        assert wanted
        if (table, name, *wanted) in {row[:3] for row in catalog["columns"]}:
            return "it compares its own names of types; PostgreSQL's are equal"
    return ""


def test_sqldiff_as_a_second_opinion_finds_only_its_own_limits(copy: Copy) -> None:
    database = copy("clean 0013")
    done = subprocess.run(
        [sys.executable, "-c", SQLDIFF],
        cwd=ROOT,
        env=process_environment(database.url) | {"DJANGO_SETTINGS_MODULE": "project.settings"},
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    found = json.loads(done.stdout)
    assert [each for each in found if not limit_of_sqldiff(database, *each[1:])] == []
    database.run("ALTER TABLE events DROP COLUMN symbol", "ALTER TABLE signals ADD COLUMN x text")
    done = subprocess.run(
        [sys.executable, "-c", SQLDIFF],
        cwd=ROOT,
        env=process_environment(database.url) | {"DJANGO_SETTINGS_MODULE": "project.settings"},
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    real = [
        each[1] for each in json.loads(done.stdout) if not limit_of_sqldiff(database, *each[1:])
    ]
    assert "field-missing-in-db" in real
    assert "field-missing-in-model" in real
