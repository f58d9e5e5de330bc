"""Any history of any database ends as a clean run ends, or is left untouched with the right error.

A database is drawn: each of some components is absent, there, unfinished or another one, among namesakes
and leftovers. Then the migrations that declare them run, die, run back and forth in a drawn order.
What can be drawn comes from cases/: a case that is added there is drawn here. The ordinary run
draws the same few databases each time; this draws new ones, for hours:

    make test ARGS="tests/operations/contract/test_histories.py --hypothesis-profile=nightly"
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from typing import Any

import psycopg
import pytest
from django.db import DatabaseError, connection, reset_queries
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, assume, event, given, note, reject, settings
from hypothesis import strategies as st

from signals import operations
from signals.operations.migrate import preflight
from tests.operations import scratch_schema
from tests.operations.contract.scenarios import SESSIONS, Scenario, runs, scenarios
from tests.operations.kill_between_statements import Killed, kill_after
from tests.operations.scratch_schema import SCHEMA, catalog_versions, facts, recreate, sent_changes

pytestmark = pytest.mark.usefixtures("committing_connection")

QUICK = f"SET search_path TO {SCHEMA}; SET synchronous_commit TO off"

TO_THE_END = [(True, None), (False, None), (True, None)]


def put(scenario: Scenario) -> None:
    """Makes the database by hand; a drawn one that cannot exist is drawn anew."""
    try:
        recreate(*scenario.base())
        for each, (_, condition) in zip(scenario.cases, scenario.components, strict=True):
            step: Any = {
                "absent": "SELECT 1",
                "there": each.done,
                **each.unfinished,
                **{f"another: {other.what}": other.sql for other in each.other_definitions},
            }[condition]
            if callable(step):
                step()
            else:
                scratch_schema.execute(step)
    except (DatabaseError, psycopg.Error) as error:
        event(f"impossible: {type(error).__name__}")
        reject()


@cache
def facts_after(*scripts: str) -> list[tuple[Any, ...]]:
    try:
        recreate(*scripts)
    except DatabaseError as error:
        raise AssertionError(f"name in CLASHES what cannot be together: {scripts}") from error
    return facts()


def clean_run(scenario: Scenario) -> list[tuple[Any, ...]]:
    """The facts of the database as hand-written SQL completes it."""
    return facts_after(*scenario.base(), *[each.done for each in scenario.cases])


def reversed_run(scenario: Scenario) -> list[tuple[Any, ...]]:
    return facts_after(*scenario.base(), *[each.after_back or "" for each in scenario.cases])


@contextmanager
def session_of(scenario: Scenario) -> Iterator[None]:
    """A new session, as each run of `migrate` has one; what the test asks, it asks in another."""
    connection.close()
    scratch_schema.execute(f"{QUICK}; {SESSIONS[scenario.session]}")
    try:
        yield
    finally:
        connection.close()
        scratch_schema.execute(QUICK)


def run(
    scenario: Scenario, *, forwards: bool, dies: int | None = None, atomic: bool = False
) -> bool:
    """As `migrate` runs it, looking ahead; whether it came to its end."""
    migrations = scenario.migrations(atomic=atomic)
    states = [scenario.state()]
    for migration in migrations:
        states.append(migration.mutate_state(states[-1]))
    steps = list(zip(migrations, states[:-1], strict=True))
    with pytest.MonkeyPatch.context() as patch, session_of(scenario):
        if dies is not None:
            kill_after(patch, dies)
        preflight.remember(using="default", plan=[(each, not forwards) for each in migrations])
        try:
            for migration, before in steps if forwards else reversed(steps):
                with connection.schema_editor(atomic=atomic) as editor:
                    (migration.apply if forwards else migration.unapply)(before.clone(), editor)
        except Killed:
            return False
        finally:
            preflight.forget(using="default")
    return True


def assert_nothing_is_sent(scenario: Scenario, *, forwards: bool) -> None:
    before = catalog_versions()
    reset_queries()  # Django's log of them is full after 9000, and a nightly run asks more
    with CaptureQueriesContext(connection) as queries:
        assert run(scenario, forwards=forwards)
    sent = [text for text in sent_changes(queries) if not text.startswith(("SET ", "RESET "))]
    assert sent == []
    assert catalog_versions() == before


drawn = settings(
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,  # it opens the database for the whole test
        HealthCheck.filter_too_much,  # some drawn databases cannot exist
        HealthCheck.too_slow,
    ]
)


@drawn
@given(scenarios(), runs)
def test_every_history_ends_as_a_clean_run_ends(
    scenario: Scenario, history: list[tuple[bool, int | None]]
) -> None:
    note(f"{scenario}\n{history}")
    clean, start = clean_run(scenario), reversed_run(scenario)
    put(scenario)
    # What the way back leaves of filled rows is known once the way forward has come to its end.
    stays = any(each.after_back for each in scenario.cases)
    for place, (forwards, dies) in enumerate([*history, *TO_THE_END]):
        ended = run(scenario, forwards=forwards, dies=dies)
        event(f"{'forwards' if forwards else 'backwards'}: {'ended' if ended else 'died'}")
        stays = stays and not (ended and forwards)
        if ended and not stays:
            assert facts() == (clean if forwards else start)
        if place > len(history):
            assert_nothing_is_sent(scenario, forwards=forwards)


@drawn
@given(scenarios(), st.booleans(), st.one_of(st.integers(0, 4), st.none()))
def test_in_one_transaction_it_is_all_or_nothing(
    scenario: Scenario, forwards: bool, dies: int | None
) -> None:
    scenario = replace(scenario, split=0)
    note(str(scenario))
    clean, start = clean_run(scenario), reversed_run(scenario)
    put(scenario)
    before, content = catalog_versions(), facts()
    try:
        ended = run(scenario, forwards=forwards, dies=dies, atomic=True)
    except operations.NeedsAutocommit:
        event("needs autocommit")
        ended = False
    if ended and (forwards or not any(each.after_back for each in scenario.cases)):
        assert facts() == (clean if forwards else start)
    elif not ended:
        assert catalog_versions() == before
        assert facts() == content
    event("ended" if ended else "nothing")
    assert run(scenario, forwards=True)
    assert facts() == clean


@drawn
@given(scenarios(stopped=True))
def test_the_first_component_that_differs_stops_the_run_and_the_database_is_untouched(
    scenario: Scenario,
) -> None:
    assume(scenario.other_definitions)
    note(str(scenario))
    put(scenario)
    first, other = scenario.other_definitions[0]
    before, content = catalog_versions(), facts()
    with pytest.raises(operations.DifferentDefinition) as caught:
        run(scenario, forwards=True)
    error = caught.value
    number = 2 if scenario.split and scenario.cases.index(first) >= scenario.split else 1
    assert (error.migration, error.operation) == (f"bench.000{number}_bench", first.describes)
    assert (error.component, error.name, error.table) == (
        other.component or first.component,
        other.name,
        other.table,
    )
    assert catalog_versions() == before
    assert facts() == content
