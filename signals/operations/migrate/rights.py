"""Tell, before the first statement of a run of `migrate`, which rights its plan needs and the role lacks."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from django.core.exceptions import FieldDoesNotExist, FieldError
from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.migration import Migration
from django.db.migrations.state import ProjectState

from ..base import Convergent
from ..catalog.query import quoted
from ..catalog.records import RECORDER_TABLE
from ..catalog.rights import Lack, Need, Right, lacked_rights
from ..errors import ConvergenceError, RightsMissing
from ..findings import Finding, Status
from .needs import NeedingStep, needing_steps, needing_steps_back, states_of
from .walk import advance, operation_findings

# The first version of PostgreSQL whose grants say whether they are inherited.
_INHERITED_GRANTS = 160_000

_BUILDS_INDEX = re.compile(r"\b(CREATE (UNIQUE )?INDEX|UNIQUE|PRIMARY KEY|EXCLUDE)\b")
_OF_AN_INDEX = ("index", "unique", "exclusion", "primary key")
_TO_DO = frozenset(Status) - {Status.EXISTS, Status.ABSENT, Status.UNJUDGED}
_TO_UNDO = frozenset(Status) - {Status.MISSING, Status.LEFTOVER, Status.UNJUDGED}


def require_rights(
    connection: BaseDatabaseWrapper,
    plan: Sequence[tuple[Migration, bool]],
    apps: Any,
    *,
    fakes_initial: bool = False,
) -> None:
    """Raise RightsMissing, with all of them, if the role lacks rights that the plan needs.

    Ask once. If the role lacks some, look at the catalog for the operations that need these, and leave out
    those with nothing to send.

    apps: the models before the plan. fakes_initial: whether initial migrations may only be recorded.
    """
    forwards = [each for each, is_back in plan if not is_back]
    backwards = [each for each, is_back in plan if is_back]
    unneeding = [each for each in forwards if fakes_initial and _is_initial(each)]
    records = quoted(RECORDER_TABLE)
    recording = (Right.RECORD, Right.NUMBER) if forwards else ()
    first: dict[Need, str] = {Need(right, records): "" for right in recording}
    first |= {Need(Right.UNRECORD, records): ""} if backwards else {}

    def walk() -> Iterator[NeedingStep]:
        for step in needing_steps(connection, forwards, ProjectState.from_apps(apps)):
            if step.migration not in unneeding:
                yield step
        yield from needing_steps_back(connection, backwards, ProjectState.from_apps(apps))

    for step in walk():
        first |= {need: _label(step) for need in step.needs if need not in first}
    lacks = {each.need: each for each in lacked_rights(connection, list(first))}
    missing = [(each, "") for need, each in lacks.items() if not first[need]]
    others = {need: each for need, each in lacks.items() if first[need]}
    if others:
        missing += _at_work(connection, walk(), others)
    if missing:
        version: int = connection.pg_version  # type: ignore[attr-defined] # PostgreSQL's alone
        inherits = version >= _INHERITED_GRANTS
        told: dict[str, tuple[Lack, str]] = {}
        for each, label in missing:  # of several tables in a schema the first
            told.setdefault(each.what, (each, label))
        raise RightsMissing(
            missing[0][0].role,
            [(what, label, each.fix(has_inherit=inherits)) for what, (each, label) in told.items()],
        )


def _is_initial(migration: Migration) -> bool:
    if migration.initial is None:
        return all(app != migration.app_label for app, _ in migration.dependencies)
    return migration.initial


def _label(step: NeedingStep) -> str:
    return f"{step.migration.app_label}.{step.migration.name}"


def _at_work(
    connection: BaseDatabaseWrapper, ahead: Iterable[NeedingStep], lacks: Mapping[Need, Lack]
) -> Iterator[tuple[Lack, str]]:
    """Yield those of the lacks that would stop an operation with something to send, and its migration."""
    left = dict(lacks)
    for step in ahead:
        wanted = [need for need in step.needs if need in left]
        if wanted:
            needed = _needed(connection, step, wanted)
            yield from ((left.pop(need), _label(step)) for need in needed)


def _needed(
    connection: BaseDatabaseWrapper, step: NeedingStep, wanted: Sequence[Need]
) -> list[Need]:
    """Return those of the wanted rights that the operation needs for what it would send by now.

    Return none if that cannot be told, as where it works on what an earlier step makes.
    """
    label, operation = step.migration.app_label, step.operation
    before, after = _states(connection, step)
    try:
        if isinstance(operation, Convergent):
            findings = operation_findings(connection, label, operation, before, after)
            if step.backwards:
                is_kept = getattr(operation, "keep_on_reverse", False)
                is_idle = is_kept or _TO_UNDO.isdisjoint(each.status for each in findings)
                return [] if is_idle else list(wanted)
            return [each for each in wanted if _is_needed_for(each, findings)]
        if not type(operation).__module__.startswith("django."):
            return []
        with connection.schema_editor(collect_sql=True, atomic=False) as editor:
            if step.backwards:
                operation.database_backwards(label, editor, after, before)
            else:
                operation.database_forwards(label, editor, before, after)
    except (
        ConvergenceError,
        DatabaseError,
        FieldDoesNotExist,
        FieldError,
        LookupError,
        ValueError,
    ):
        if connection.needs_rollback:
            raise
        return []
    text = "\n".join(editor.collected_sql)
    return [each for each in wanted if _is_needed_by(each, text)]


def _states(
    connection: BaseDatabaseWrapper, step: NeedingStep
) -> tuple[ProjectState, ProjectState]:
    """Return the states before and after the operation, in the order of its declaration."""
    label, migration = step.migration.app_label, step.migration
    if step.backwards:
        return states_of(connection, migration, step.operation)
    before, after = step.state.clone(), step.state.clone()
    advance(step.operation, label, after)
    return before, after


def _is_needed_for(need: Need, findings: Sequence[Finding]) -> bool:
    """Return whether a convergent operation with these findings needs the right."""
    if need.right is Right.TEMPORARY:
        return any(each.status is Status.UNJUDGED for each in findings)
    to_do = [each for each in findings if each.status in _TO_DO]
    new = [each for each in to_do if each.component in ("table", "enum") and not each.found]
    match need.right:
        case Right.CREATE:
            return any(each.table in ("", need.name) or not need.name for each in new)
        case Right.REFER:
            missing = (each for each in to_do if each.status is Status.MISSING)
            is_new = bool(new) or any(each.component == "column" for each in missing)
            return is_new or any(each.component == "foreign key" for each in to_do)
        case Right.BUILD:
            return any(each.component in _OF_AN_INDEX for each in to_do)
    return any(each.table == need.name for each in to_do)


def _is_needed_by(need: Need, sql: str) -> bool:
    """Return whether the statements of one of Django's operations need the right."""
    match need.right:
        case Right.REFER:
            return "REFERENCES" in sql
        case Right.BUILD:
            return _BUILDS_INDEX.search(sql) is not None
        case Right.CREATE:
            return "CREATE " in sql
    return bool(sql)
