"""manage.py check: what would stop a migration, said before it starts."""

from typing import Any

from django.core.checks import run_checks

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


def test_a_router_that_keeps_the_app_away_is_enough(elsewhere: Any, settings: Any) -> None:
    settings.DATABASE_ROUTERS = [Router()]
    assert run_checks(tags=TAGS, databases=[elsewhere.alias]) == []
