"""verify_schema --shadow sees a drift of every kind, tells each once, and nothing of what is as migrated."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.operations.drift.hand_made_drifts import (
    LEFT_TO_A_PERSON,
    NOTE,
    REPAIRED,
    REPLACED,
    UNDECLARED,
    Drift,
    apply_drifts,
    without_conflicts,
)
from tests.operations.projects.project import Project
from tests.operations.shadow.conftest import KindsProject
from tests.operations.shadow.hand_made import DRIFTS, HandMade, Told
from tests.postgres.databases import Database

pytestmark = pytest.mark.usefixtures("unblocked_database")


@pytest.fixture(scope="module")
def told(kinds_template: KindsProject, django_db_blocker: Any) -> Iterator[list[Told]]:
    """What is told of a database in which all drifts were made."""
    with django_db_blocker.unblock():
        copied = Database.new(kinds_template.database.name)
        drifted = KindsProject(kinds_template.folder, copied, kinds_template.kept)
        drifted.database.run(*(each.sql for each in DRIFTS))
        yield drifted.told()
        copied.drop()


@pytest.mark.parametrize("drift", DRIFTS, ids=str)
def test_a_drift_is_told(told: list[Told], drift: HandMade) -> None:
    assert set(drift.told) <= set(told)


def test_nothing_is_told_twice_or_without_a_drift(told: list[Told]) -> None:
    assert told == sorted(row for drift in DRIFTS for row in drift.told)


def test_a_migrated_database_is_clean(kinds: KindsProject) -> None:
    done = kinds.verify("--shadow", "--strict", "--with-grants")
    assert (done.returncode, done.stderr) == (0, "")
    assert kinds.told() == []


@pytest.mark.parametrize(
    "drifts",
    [REPAIRED, REPLACED, LEFT_TO_A_PERSON, UNDECLARED[:4]],  # the others have one name
    ids=["repaired", "replaced", "left to a person", "undeclared"],
)
def test_what_the_ordinary_run_tells_is_told_no_other_way(
    stock_project: Project, drifts: list[Drift], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert stock_project.verify("--shadow", "--strict").returncode == 0
    told = apply_drifts(stock_project, without_conflicts(drifts))
    assert stock_project.not_as_declared("--shadow") == told - {NOTE}


def test_what_the_migrations_own_sql_makes_is_no_longer_undeclared(kinds: KindsProject) -> None:
    """The ordinary run cannot know that a migration made the indexes; the shadow shows it."""
    made = {("index", "by_python", "undeclared"), ("index", "thing_words", "undeclared")}
    assert kinds.not_as_declared() == made
    assert kinds.not_as_declared("--shadow") == set()


def test_partitions_that_came_with_the_rows_are_no_drift(kinds: KindsProject) -> None:
    kinds.database.run(
        "CREATE TABLE days_2027 PARTITION OF days FOR VALUES FROM ('2027-01-01') TO ('2028-01-01')"
    )
    assert kinds.told() == []


def test_storage_parameters_that_tune_a_table_or_index_are_no_drift(kinds: KindsProject) -> None:
    kinds.database.run(
        "ALTER TABLE log SET (autovacuum_vacuum_scale_factor = 0.01)",
        "ALTER INDEX log_at SET (fillfactor = 70)",
    )
    assert kinds.told() == []


def test_grants_are_compared_only_if_they_are_asked_for(kinds: KindsProject) -> None:
    kinds.database.run(
        "GRANT SELECT ON log TO PUBLIC",
        "GRANT UPDATE (kind) ON log TO PUBLIC",
        "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO PUBLIC",
        "REVOKE EXECUTE ON FUNCTION touch() FROM PUBLIC",
    )
    assert kinds.told() == []
    assert kinds.told("--with-grants") == [
        ("default privileges", "of tables for the own role", "undeclared"),
        ("grants", "column log.kind", "undeclared"),
        ("grants", "function touch()", "missing"),
        ("grants", "table log", "undeclared"),
    ]


def test_an_adopted_legacy_database_is_told_of_what_it_has_beside(
    copy: Callable[[str], Database], tmp_path: Path
) -> None:
    """Its names and sequences are not Django's, nor is a foreign key, which differs in one clause."""
    adopted = copy("adopted 011")
    done = adopted.manage(
        "verify_schema", "--shadow", "--json", env={"XDG_CACHE_HOME": str(tmp_path)}
    )
    rows = json.loads(done.stdout)["databases"][0]["components"]
    wrong = {
        (each["component"], each["name"], each["status"])
        for each in rows
        if each["status"] not in ("exists", "undeclared")
    }
    assert wrong == {("foreign key", "signals_event_key_38de6f31_fk_events_event_key", "different")}
    clean = copy("clean 0013")
    done = clean.manage(
        "verify_schema", "--shadow", "--strict", env={"XDG_CACHE_HOME": str(tmp_path)}
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_deferral_of_a_foreign_key_is_not_compared_but_its_action_is(
    kinds: KindsProject,
) -> None:
    name = "kinds_thing_maker_id_f47269d8_fk_kinds_maker_id"
    kinds.database.run(f"ALTER TABLE kinds_thing ALTER CONSTRAINT {name} NOT DEFERRABLE")
    assert kinds.told() == []
    kinds.database.run(
        f"ALTER TABLE kinds_thing DROP CONSTRAINT {name}, ADD CONSTRAINT by_hand "
        "FOREIGN KEY (maker_id) REFERENCES kinds_maker ON DELETE CASCADE"
    )
    assert kinds.told() == [("foreign key", name, "different")]
