"""What has the name and not the definition stops the run before anything is changed."""

from collections.abc import Callable

import pytest

from signals.operations import DifferentDefinition
from tests.postgres.catalog_facts import catalog_versions
from tests.postgres.databases import Database

Copy = Callable[[str], Database]

COLUMN = 'Add column state to signal if missing: the column state of table "signals"'
INDEX = (
    "Create index idx_signals_state_created_at or 3 fallbacks on signal concurrently if missing:"
    ' the index idx_signals_state_created_at of table "signals"'
)
CHECK = (
    "Add check signals_state_check to signal if missing:"
    ' the check signals_state_check of table "signals"'
)
TEXT = "text DEFAULT 'candidate'::text NOT NULL"
WANTED_CHECK = (
    "CHECK ((state = ANY (ARRAY['candidate'::text, 'verified'::text, 'downgraded'::text])))"
)
WANTED_INDEX = (
    'CREATE INDEX idx_signals_state_created_at ON "signals" USING btree (state, created_at)'
)


def text(what: str, found: str, wanted: str, fix: str) -> str:
    return (
        f"signals.0012_signal_state: {what} differs from its declaration; nothing was changed.\n"
        f"  found:  {found}\n  wanted: {wanted}\n  to fix: {fix}"
    )


REPLACE = '\n  or let this migration replace it: on_different="replace"'

CASES = {
    "state is varchar": (
        ["ALTER TABLE signals ADD COLUMN state varchar(20) NOT NULL DEFAULT 'candidate'"],
        text(
            COLUMN,
            "character varying(20) DEFAULT 'candidate'::character varying NOT NULL",
            TEXT,
            'ALTER TABLE "signals" ALTER COLUMN "state" DROP DEFAULT, '
            'ALTER COLUMN "state" TYPE text USING "state"::text, '
            "ALTER COLUMN \"state\" SET DEFAULT 'candidate'::text;",
        ),
    ),
    "state is nullable": (
        ["ALTER TABLE signals ADD COLUMN state text DEFAULT 'candidate'"],
        text(
            COLUMN,
            "text DEFAULT 'candidate'::text",
            TEXT,
            'ALTER TABLE "signals" ALTER COLUMN "state" SET NOT NULL;',
        ),
    ),
    "state has another default": (
        ["ALTER TABLE signals ADD COLUMN state text NOT NULL DEFAULT 'verified'"],
        text(
            COLUMN,
            "text DEFAULT 'verified'::text NOT NULL",
            TEXT,
            'ALTER TABLE "signals" ALTER COLUMN "state" SET DEFAULT \'candidate\'::text;',
        ),
    ),
    "state has no default": (
        [
            "ALTER TABLE signals ADD COLUMN state text NOT NULL DEFAULT 'candidate'",
            "ALTER TABLE signals ALTER COLUMN state DROP DEFAULT",
        ],
        text(
            COLUMN,
            "text NOT NULL",
            TEXT,
            'ALTER TABLE "signals" ALTER COLUMN "state" SET DEFAULT \'candidate\'::text;',
        ),
    ),
    "the check allows another state": (
        [
            "ALTER TABLE signals ADD COLUMN state text NOT NULL DEFAULT 'candidate'",
            (
                "ALTER TABLE signals ADD CONSTRAINT signals_state_check"
                " CHECK (state IN ('candidate', 'verified', 'downgraded', 'lost'))"
            ),
        ],
        text(
            CHECK,
            "CHECK ((state = ANY (ARRAY['candidate'::text, 'verified'::text, 'downgraded'::text,"
            " 'lost'::text])))",
            WANTED_CHECK,
            'ALTER TABLE "signals" DROP CONSTRAINT "signals_state_check"; and run again' + REPLACE,
        ),
    ),
    "the check is no check": (
        [
            "ALTER TABLE signals ADD CONSTRAINT signals_state_check UNIQUE (id)",
            "ALTER TABLE signals ADD COLUMN state text NOT NULL DEFAULT 'candidate'",
        ],
        text(
            CHECK,
            "UNIQUE (id)",
            WANTED_CHECK,
            'ALTER TABLE "signals" DROP CONSTRAINT "signals_state_check"; and run again',
        ),
    ),
    "the index has other columns": (
        [
            "ALTER TABLE signals ADD COLUMN state text NOT NULL DEFAULT 'candidate'",
            "CREATE INDEX idx_signals_state_created_at ON signals (created_at, state)",
        ],
        text(
            INDEX,
            "CREATE INDEX idx_signals_state_created_at ON public.signals USING btree"
            " (created_at, state)",
            WANTED_INDEX,
            'DROP INDEX CONCURRENTLY "public"."idx_signals_state_created_at"; and run again'
            + REPLACE,
        ),
    ),
    "the index is partial": (
        [
            "ALTER TABLE signals ADD COLUMN state text NOT NULL DEFAULT 'candidate'",
            (
                "CREATE INDEX idx_signals_state_created_at ON signals (state, created_at)"
                " WHERE state = 'candidate'"
            ),
        ],
        text(
            INDEX,
            "CREATE INDEX idx_signals_state_created_at ON public.signals USING btree"
            " (state, created_at) WHERE (state = 'candidate'::text)",
            WANTED_INDEX,
            'DROP INDEX CONCURRENTLY "public"."idx_signals_state_created_at"; and run again'
            + REPLACE,
        ),
    ),
    "the index is another table's": (
        ["CREATE INDEX idx_signals_state_created_at ON raw_posts (ts)"],
        text(
            INDEX,
            "an index of table raw_posts",
            'an index of table "signals"',
            'rename it: ALTER INDEX "public"."idx_signals_state_created_at" RENAME TO ...',
        ),
    ),
    "the index's name is a table's": (
        ["CREATE TABLE idx_signals_state_created_at (x int)"],
        text(
            INDEX,
            "a relation that is no index",
            'an index of table "signals"',
            'rename it: ALTER TABLE "public"."idx_signals_state_created_at" RENAME TO ...',
        ),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_0012_stops_with_found_wanted_and_the_way_out_and_changes_nothing(
    copy: Copy, case: str
) -> None:
    statements, expected = CASES[case]
    database = copy("adopted 011")
    database.migrate("0011")
    database.run(*statements)
    before = catalog_versions(database)
    with pytest.raises(DifferentDefinition) as stopped:
        database.migrate("0012")
    assert str(stopped.value) == expected
    assert catalog_versions(database) == before
    assert database.applied()[-1] == "0011"
    database.close()
    fix = stopped.value.fix.removesuffix(" and run again").replace("RENAME TO ...", "RENAME TO x")
    database.run(fix.removeprefix("rename it: "))
    database.migrate("0012")
    assert database.verify("0012")[0] == 0


def test_a_real_migrate_ends_with_the_text_alone_and_exit_code_1(copy: Copy) -> None:
    database = copy("legacy 011")
    database.run("CREATE INDEX idx_signals_state_created_at ON raw_posts (ts)")
    before = catalog_versions(database)
    done = database.manage("migrate", "signals")
    assert done.returncode == 1
    assert done.stderr.endswith(CASES["the index is another table's"][1] + "\n")
    assert "Traceback" not in done.stderr
    # Django's own table of applied migrations is all that may have come.
    ours = {row for row in catalog_versions(database) if row in before}
    assert ours == before


LEGACY = {
    "events.score is numeric": (
        "002",
        ["ALTER TABLE events ALTER COLUMN score TYPE numeric"],
        "score",
        (
            'ALTER TABLE "events" ALTER COLUMN "score" DROP DEFAULT, '
            'ALTER COLUMN "score" TYPE double precision'
            ' USING "score"::double precision, ALTER COLUMN "score" SET DEFAULT 0.0;'
        ),
    ),
    "the enum has a value of its own": (
        "006",
        ["ALTER TYPE goplus_risk_enum ADD VALUE 'purple'"],
        "goplus_risk_enum",
        "rename the values (ALTER TYPE ... RENAME VALUE), or declare them in the operation",
    ),
    "the foreign key points elsewhere": (
        "001",
        [
            "CREATE TABLE others (event_key text PRIMARY KEY)",
            "ALTER TABLE signals DROP CONSTRAINT signals_event_key_fkey",
            (
                "ALTER TABLE signals ADD CONSTRAINT signals_event_key_fkey FOREIGN KEY (event_key)"
                " REFERENCES others NOT VALID"
            ),
        ],
        "signals_event_key_fkey",
        'ALTER TABLE "signals" DROP CONSTRAINT "signals_event_key_fkey"; and run again',
    ),
    "a legacy index has other columns": (
        "007",
        ["DROP INDEX idx_signals_topic_id", "CREATE INDEX idx_signals_topic_id ON signals (ts)"],
        "idx_signals_topic_id",
        'DROP INDEX CONCURRENTLY "public"."idx_signals_topic_id"; and run again',
    ),
    "created_at has no time zone": (
        "011",
        ["ALTER TABLE signals ADD COLUMN created_at timestamp"],
        "created_at",
        None,
    ),
    "window_minutes may be anything": (
        "011",
        [
            "ALTER TABLE onchain_features DROP CONSTRAINT check_window_minutes",
            (
                "ALTER TABLE onchain_features ADD CONSTRAINT check_window_minutes"
                " CHECK (window_minutes > 0)"
            ),
        ],
        "check_window_minutes",
        'ALTER TABLE "onchain_features" DROP CONSTRAINT "check_window_minutes"; and run again',
    ),
}


@pytest.mark.parametrize("case", LEGACY)
def test_a_legacy_object_that_differs_stops_the_run_before_anything_is_changed(
    copy: Copy, case: str
) -> None:
    revision, statements, name, fix = LEGACY[case]
    database = copy(f"legacy {revision}")
    database.run(*statements)
    before = catalog_versions(database)
    rows = database.rows("SELECT id, xmin::text FROM signals ORDER BY id")
    with pytest.raises(DifferentDefinition) as stopped:
        database.migrate("0012")
    assert stopped.value.name == name
    assert fix in (None, stopped.value.fix)
    assert {row for row in catalog_versions(database) if row in before} == before
    assert database.rows("SELECT id, xmin::text FROM signals ORDER BY id") == rows
    legacy_tables = {"alembic_version", "events", "goplus_cache", "onchain_features", "others"}
    tables = {
        table
        for (table,) in database.rows(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        )
    }
    assert tables <= legacy_tables | {"raw_posts", "signals", "django_migrations"}


def test_an_index_of_that_name_in_another_schema_is_no_matter(copy: Copy) -> None:
    database = copy("adopted 011")
    database.migrate("0011")
    database.run(
        "CREATE SCHEMA other",
        "CREATE TABLE other.signals (state int, created_at int)",
        "CREATE INDEX idx_signals_state_created_at ON other.signals (state)",
        "ALTER TABLE other.signals ADD CONSTRAINT signals_state_check CHECK (state > 0)",
    )
    before = catalog_versions(database, "other")
    database.migrate("0012")
    assert database.verify("0012")[0] == 0
    assert catalog_versions(database, "other") == before
