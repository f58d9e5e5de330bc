"""manage.py check: what would stop a migration, said before it starts."""

from types import SimpleNamespace
from typing import Any

import pytest
from django.core.checks import run_checks
from django.db import models

from signals import operations
from signals.operations import checks
from tests.operations import bench

TAGS = ["signals_operations"]


class Router:
    """Keeps the application signals away from other databases than the first."""

    def allow_migrate(self, db: str, app_label: str, **_: Any) -> bool:
        return db == "default" or app_label != "signals"


def test_postgresql_is_as_it_should_be() -> None:
    assert run_checks(tags=TAGS, databases=["default"]) == []


def test_another_server_is_named_with_the_first_operation_and_the_way_out(elsewhere: Any) -> None:
    (error,) = run_checks(tags=TAGS, databases=["default", elsewhere.alias])
    assert error.id == "signals_operations.E001"
    assert error.msg == (
        "the database 'other' is SQLite, and CreateTableIfMissing of "
        "signals.0001_events_and_signals needs PostgreSQL"
    )
    assert error.hint == (
        "Keep its app away from that database by a router's allow_migrate(), or use PostgreSQL."
    )


def test_a_database_that_nobody_asked_for_is_not_judged(elsewhere: Any) -> None:
    assert run_checks(tags=TAGS) == []
    assert run_checks(tags=TAGS, databases=["default"]) == []


class ByModel:
    """Keeps a model off every database but the first, as Django's documentation shows it."""

    def allow_migrate(self, db: str, _app_label: str, **hints: Any) -> bool | None:
        known = hints.get("model_name") == "box" or hints.get("enum") == "mood"
        return db == "default" if known else None


@pytest.mark.parametrize(
    "operation",
    [
        operations.CreateTableIfMissing("Box", [("id", bench.SERIAL)]),
        operations.AddColumnIfMissing("Box", "size", models.IntegerField(null=True)),
        operations.DropIndexConcurrentlyIfPresent("box", "wanted"),
        operations.CreateEnumIfMissing("mood", ["ok"]),
        operations.CreateTableIfMissing("Lid", [("id", bench.SERIAL)], {"managed": False}),
    ],
    ids=lambda operation: type(operation).__name__,
)
def test_what_a_router_or_the_model_keeps_away_is_no_error(
    operation: Any, elsewhere: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DATABASE_ROUTERS = [ByModel()]
    loaded = SimpleNamespace(disk_migrations={(bench.APP, "0001"): bench.migration(operation)})
    monkeypatch.setattr(checks, "MigrationLoader", lambda _: loaded)
    assert run_checks(tags=TAGS, databases=[elsewhere.alias]) == []


def test_a_router_that_keeps_the_app_away_is_enough(elsewhere: Any, settings: Any) -> None:
    settings.DATABASE_ROUTERS = [Router()]
    assert run_checks(tags=TAGS, databases=[elsewhere.alias]) == []
