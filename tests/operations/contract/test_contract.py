"""What every public operation keeps, on every case of cases/."""

import logging
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from django.db import connection
from django.db.migrations.state import ProjectState
from django.test.utils import CaptureQueriesContext

from signals import operations
from signals.operations.execution import send
from signals.operations.execution.policy import LockPolicy
from signals.operations.migrate.walk import operation_findings
from tests.operations import scratch_schema
from tests.operations.contract.case import Case, OtherDefinition
from tests.operations.contract.cases import CASES
from tests.operations.kill_between_statements import Killed, kill_after
from tests.operations.scratch_schema import (
    APP,
    SCHEMA,
    backwards,
    catalog_versions,
    facts,
    forwards,
    project_state,
    recreate,
    sent_changes,
)

pytestmark = pytest.mark.usefixtures("committing_connection")

each_case = pytest.mark.parametrize("case", CASES, ids=str)
each_unfinished = pytest.mark.parametrize(
    ("case", "half"),
    [pytest.param(case, half, id=f"{case}, {half}") for case in CASES for half in case.unfinished],
)
each_other_definition = pytest.mark.parametrize(
    ("case", "other"),
    [
        pytest.param(case, other, id=f"{case}, {other.what}")
        for case in CASES
        for other in case.other_definitions
    ],
)


each_replaced = pytest.mark.parametrize(
    ("case", "other"),
    [
        pytest.param(case, other, id=f"{case}, {other.what}")
        for case in CASES
        for other in case.other_definitions
        if other.replaceable
    ],
)
REPLACE = 'on_different="replace"'


@cache
def facts_after(*scripts: str) -> list[tuple[Any, ...]]:
    recreate(*scripts)
    return facts()


def clean_run(case: Case) -> list[tuple[Any, ...]]:
    """The facts of the database as hand-written SQL completes it."""
    return facts_after(case.start, case.done)


def reversed_run(case: Case) -> list[tuple[Any, ...]]:
    return facts_after(case.start, case.after_back or "")


def statuses(case: Case, state: ProjectState) -> set[operations.Status]:
    operation, after = case.make(), state.clone()
    operation.state_forwards(APP, after)
    findings = operation_findings(connection, APP, operation, state, after)
    return {finding.status for finding in findings}


def put(case: Case, half: str) -> None:
    recreate(case.start)
    step = case.unfinished[half]
    if callable(step):
        step()
    else:
        scratch_schema.execute(step)


@each_case
def test_absent_becomes_present_as_a_clean_run_would_make_it(case: Case) -> None:
    wanted = clean_run(case)
    state = project_state(*case.models)
    recreate(case.start)
    if case.name != "backfill":
        before = operations.Status.LEFTOVER if case.removes else operations.Status.MISSING
        assert (case.absent or before) in statuses(case, state)
    forwards(case.make(), state)
    assert facts() == wanted
    assert statuses(case, state) == case.settled_statuses


@each_case
def test_again_sends_nothing_but_questions(case: Case) -> None:
    recreate(case.start)
    state = project_state(*case.models)
    forwards(case.make(), state)
    before = catalog_versions()
    with CaptureQueriesContext(connection) as queries:
        forwards(case.make(), state)
    assert sent_changes(queries) == []
    assert catalog_versions() == before


@each_case
def test_what_stands_is_known_after_two_questions(case: Case) -> None:
    """One for the catalog, one for the canonical form; of rows that may be NULL one more."""
    recreate(case.start, case.done)
    with CaptureQueriesContext(connection) as queries:
        forwards(case.make(), project_state(*case.models))
    assert len(queries) <= 2


@each_case
def test_its_own_limits_of_waiting_reach_every_statement(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    recreate(case.start)
    sent, seen = send._run, []

    def noted(connection: Any, statement: Any, policy: LockPolicy, *question: str) -> Any:
        seen.append((policy.lock_timeout, policy.lock_wait))
        return sent(connection, statement, policy, *question)

    monkeypatch.setattr(send, "_run", noted)
    _, args, kwargs = case.make().deconstruct()
    operation = case.operation_class(*args, **kwargs, lock_timeout=0.7, lock_wait=77)
    forwards(operation, project_state(*case.models))
    backwards(operation, project_state(*case.models))
    assert set(seen) == ({(0.7, 77)} if case.name != "backfill" else set())


@each_case
def test_again_waits_for_nobody(case: Case, sessions: Any) -> None:
    """Another session writes, and holds the strongest lock that lets a reader through."""
    recreate(case.start, case.done)
    sessions.holding("EXCLUSIVE", case.table)
    scratch_schema.execute("SET lock_timeout = '2s'")
    forwards(case.make(), project_state(*case.models))


@each_case
def test_what_hand_written_sql_made_is_present(case: Case) -> None:
    recreate(case.start, case.done)
    before = catalog_versions()
    forwards(case.make(), project_state(*case.models))
    assert catalog_versions() == before


@each_case
def test_back_and_back_again_and_forward(case: Case) -> None:
    wanted, start = clean_run(case), reversed_run(case)
    state = project_state(*case.models)
    recreate(case.start)
    forwards(case.make(), state)
    backwards(case.make(), state)
    assert facts() == start
    with CaptureQueriesContext(connection) as queries:
        backwards(case.make(), state)
    assert sent_changes(queries) == []
    assert facts() == start
    forwards(case.make(), state)
    assert facts() == wanted


@each_case
def test_back_without_having_been_there(case: Case) -> None:
    recreate(case.start)
    before, start = catalog_versions(), facts()
    backwards(case.make(), project_state(*case.models))
    assert catalog_versions() == before
    assert facts() == start


@each_case
def test_namesakes_elsewhere_are_nobodys_business(case: Case) -> None:
    recreate(case.namesakes)
    theirs = facts()
    recreate(case.namesakes, case.start, case.done)
    wanted = facts()
    recreate(case.namesakes, case.start, case.after_back or "")
    start = facts()
    state = project_state(*case.models)
    recreate(case.namesakes, case.start)
    forwards(case.make(), state)
    assert facts() == wanted
    forwards(case.make(), state)
    assert facts() == wanted
    backwards(case.make(), state)
    assert facts() == start
    assert set(theirs) <= set(start)


@each_unfinished
def test_unfinished_is_finished(case: Case, half: str) -> None:
    wanted = clean_run(case)
    put(case, half)
    assert facts() != wanted
    forwards(case.make(), project_state(*case.models))
    assert facts() == wanted


@each_unfinished
def test_unfinished_is_taken_back(case: Case, half: str) -> None:
    state = project_state(*case.models)
    put(case, half)
    backwards(case.make(), state)
    start = facts()
    backwards(case.make(), state)
    assert facts() == start
    if case.name != "backfill":
        assert start == reversed_run(case)


@each_unfinished
def test_an_unfinished_component_that_is_healed_is_named_in_the_log(
    case: Case, half: str, caplog: pytest.LogCaptureFixture
) -> None:
    put(case, half)
    state = project_state(*case.models)
    # A backfill's rows are its work, not a leftover; its progress is logged instead.
    unfinished = case.name != "backfill" and operations.Status.UNFINISHED in statuses(case, state)
    with caplog.at_level(logging.WARNING, logger="convergent_migrations"):
        forwards(case.make(), state)
    assert any("healing the unfinished" in line for line in caplog.messages) == unfinished


@each_case
def test_killed_after_each_statement_heals(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = clean_run(case)
    state = project_state(*case.models)
    for limit in range(20):
        recreate(case.start)
        with monkeypatch.context() as patch:
            count = kill_after(patch, limit)
            try:
                forwards(case.make(), state)
            except Killed:
                assert count() == limit + 1
            else:
                assert count() == limit > 0
                break
        connection.close()
        scratch_schema.execute(f"SET search_path TO {SCHEMA}")
        forwards(case.make(), state)
        assert facts() == wanted
    assert facts() == wanted


@each_unfinished
def test_killed_while_it_heals_heals(
    case: Case, half: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = clean_run(case)
    state = project_state(*case.models)
    put(case, half)
    for limit in (0, 1):
        with monkeypatch.context() as patch:
            kill_after(patch, limit)
            try:
                forwards(case.make(), state)
            except Killed:
                continue
            break
    forwards(case.make(), state)
    assert facts() == wanted


@each_case
def test_killed_on_the_way_back_heals(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    start, wanted = reversed_run(case), clean_run(case)
    state = project_state(*case.models)
    for limit in range(20):
        recreate(case.start, case.done)
        with monkeypatch.context() as patch:
            kill_after(patch, limit)
            try:
                backwards(case.make(), state)
            except Killed:
                pass
            else:
                break
        backwards(case.make(), state)
        assert facts() == start
        forwards(case.make(), state)
        assert facts() == wanted
    assert facts() == start


@each_other_definition
def test_another_definition_stops_before_anything_is_changed(
    case: Case, other: OtherDefinition
) -> None:
    state = project_state(*case.models)
    recreate(case.start, other.sql)
    before, content = catalog_versions(), facts()
    with (
        pytest.raises(operations.DifferentDefinition) as caught,
        CaptureQueriesContext(connection) as queries,
    ):
        forwards(case.make(), state)
    assert sent_changes(queries) == []
    assert catalog_versions() == before
    assert facts() == content
    error = caught.value
    component = other.component or case.component
    assert {
        "operation": error.operation,
        "component": error.component,
        "name": error.name,
        "table": error.table,
        "found": error.found,
        "wanted": error.wanted,
        "fix": error.fix,
    } == {
        "operation": case.describes,
        "component": component,
        "name": other.name,
        "table": other.table,
        "found": other.found,
        "wanted": other.wanted,
        "fix": other.fix,
    }
    whose = f" of table {other.table}" if other.table else ""
    assert str(error) == (
        f"{case.describes}: the {component} {other.name}{whose} differs from its "
        f"declaration; nothing was changed.\n  found:  {other.found}\n  wanted: {other.wanted}\n"
        f"  to fix: {other.fix}"
        + (f"\n  or let this migration replace it: {REPLACE}" if other.replaceable else "")
    )


@each_other_definition
def test_the_advice_against_another_definition_works_where_it_is_sql(
    case: Case, other: OtherDefinition
) -> None:
    wanted = clean_run(case)
    state = project_state(*case.models)
    recreate(case.start, other.sql)
    if not other.repair:
        assert any(word in other.fix for word in ("rename", "drop", "declare", "USING INDEX"))
        return
    scratch_schema.execute(other.repair)
    forwards(case.make(), state)
    assert statuses(case, state) == case.settled_statuses
    assert {row for row in wanted if row[0] == "index"} <= set(facts())


@each_other_definition
def test_another_definition_survives_the_way_back_or_goes_by_its_name(
    case: Case, other: OtherDefinition
) -> None:
    """Back never fails, never touches another table, and repeats to no effect."""
    recreate(case.start, other.sql)
    others = {row for row in facts() if "other" in row[1:3]}
    state = project_state(*case.models)
    backwards(case.make(), state)
    first = facts()
    assert others <= set(first)
    assert [row for row in first if row[0] == "row" and "other" not in row[2]]
    backwards(case.make(), state)
    assert facts() == first


def names() -> set[str]:
    """Return the names of the relations and constraints of both schemas."""
    found = facts()
    return {row[2] for row in found if row[0] in ("relation", "constraint")}


@each_replaced
def test_another_definition_is_replaced_if_told_so(case: Case, other: OtherDefinition) -> None:
    assert case.replacing is not None
    wanted, state = clean_run(case), project_state(*case.models)
    recreate(case.start, other.sql)
    forwards(case.replacing(), state)
    assert facts() == wanted
    before = catalog_versions()
    forwards(case.replacing(), state)
    assert catalog_versions() == before


def killed(monkeypatch: pytest.MonkeyPatch, start: tuple[str, ...], act: Any) -> Iterator[int]:
    """Runs the act on a database made anew, killed after 0, 1, 2 … statements until it is not killed."""
    for limit in range(20):
        recreate(*start)
        with monkeypatch.context() as patch:
            kill_after(patch, limit)
            try:
                act()
            except Killed:
                pass
            else:
                assert limit > 1
                return
        yield limit
    pytest.fail("it does not come to its end")


@each_replaced
def test_killed_while_it_replaces_the_name_is_never_free_and_the_next_run_heals(
    case: Case, other: OtherDefinition, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert case.replacing is not None
    wanted, state, replacing = clean_run(case), project_state(*case.models), case.replacing()
    for _ in killed(monkeypatch, (case.start, other.sql), lambda: forwards(replacing, state)):
        assert other.name in names()
        forwards(replacing, state)
        assert facts() == wanted


@each_replaced
def test_a_leftover_of_a_replacement_is_cleaned_by_the_operation_that_only_adds(
    case: Case, other: OtherDefinition, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert case.replacing is not None
    wanted, state, replacing = clean_run(case), project_state(*case.models), case.replacing()
    for _ in killed(monkeypatch, (case.start, other.sql), lambda: forwards(replacing, state)):
        try:
            forwards(case.make(), state)
        except operations.DifferentDefinition:
            scratch_schema.execute(other.repair)
            forwards(case.make(), state)
        assert facts() == wanted


@each_replaced
def test_killed_while_it_replaces_goes_back_and_leaves_no_leftover(
    case: Case, other: OtherDefinition, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert case.replacing is not None
    start, state, replacing = reversed_run(case), project_state(*case.models), case.replacing()
    for _ in killed(monkeypatch, (case.start, other.sql), lambda: forwards(replacing, state)):
        backwards(replacing, state)
        assert names() <= {row[2] for row in start} | {other.name}
