"""Read the snapshots of any number of declarations, in three round trips."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper

from ..catalog.probes import Obstacle, Probe, probe_tables
from ..catalog.questions import Question, answers_of_one, ask, facts_of_one
from ..catalog.tables import Missing, Relation, Table
from ..contract import Contract
from ..errors import Refused, one_line
from ..execution.run import run_of
from ..findings import Snapshot
from ..names import PROBE
from ..site import Site
from .columns import collation_of, type_of
from .constant_folding import fold_constants
from .foreign_keys import has_db_constraint, target_table

_NEWER_WORDS = re.compile(r"\bJSON_(?:OBJECT|ARRAY)\(")


@dataclass(frozen=True, slots=True)
class Case:
    """A declaration, and the probe on which PostgreSQL is to build it.

    copy: the probe of the table found; None if the table does not exist or is not the declared one.
    behind: the table found, if it is not the declared one.
    older: the probe with the declaration in the words for an older server, if those are others.
    taken: the relations that have names which the indexes of a missing table are to get.
    """

    operation: Contract
    site: Site
    copy: Probe | None
    behind: Table | None = None
    older: Probe | None = None
    taken: tuple[Relation, ...] = ()


def question(
    operation: Contract, site: Site, family: int = 0, *, to_build: bool = False
) -> Question:
    """Return the question that looks up the operation's table; to_build: which it may have to create."""
    declared = operation.declared(site)
    return Question(
        site.table,
        tuple(operation.names(site)),
        tuple(type_of(site, field) for field in declared),
        tuple(target_table(site, field) for field in declared if has_db_constraint(field)),
        tuple(filter(None, (collation_of(site, field) for field in declared))),
        family=family,
        new=to_build and operation.component == "table",
        details=operation.reads_details,
    )


class NextReading:
    """The reading of an operation's table that is to follow a statement, as a SELECT to send with it."""

    def __init__(self, operation: Contract, site: Site) -> None:
        self._connection = site.connection
        self._question = question(operation, site, to_build=True)
        self.sql = facts_of_one(site.connection, self._question)

    def take(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Keep the answer for the next `read_all` of the run, if the rows tell all."""
        for answer in answers_of_one(self._question, rows):
            run_of(self._connection).answers.give(self._question, answer)


def read_all(
    connection: BaseDatabaseWrapper, declared: Sequence[tuple[Contract, Site]]
) -> list[Snapshot]:
    """Return a snapshot for each operation at its site, in the same order.

    In a run of `migrate`, query only what the run has not read since it changed something.
    """
    answers = run_of(connection).answers
    questions = [question(operation, site, to_build=True) for operation, site in declared]
    found = answers.to_all(questions, partial(ask, connection))
    cases: dict[tuple[Question, tuple[str, ...]], Case] = {}
    keys = []
    for asked, each, table in zip(questions, declared, found, strict=True):
        made = case(*each, table)
        keys.append((asked, made.copy.ddl if made.copy else ()))
        cases[keys[-1]] = made
    return answers.to_all(
        keys, lambda unknown: compare(connection, [cases[key] for key in unknown])
    )


def case(operation: Contract, site: Site, found: Table | Missing | None, path: str = "") -> Case:
    """Return the Case of the operation for the table found.

    path: the search_path for the probe, as SQL; empty for that of the session. Raise Refused if a temporary
    table of the session hides the table.
    """
    if found is None:
        return Case(operation, site, None)
    if isinstance(found, Missing):
        return Case(operation, site, None, taken=found.taken)
    if found.temporary:
        raise Refused(
            operation.describe(),
            site.table,
            f"a temporary table {site.table} of this session stands in front of it",
            "drop the temporary table, or migrate in another session",
        )
    if not operation.accepts(site, found):
        return Case(operation, site, None, found)
    older = None
    with site.on_probe():
        ddl = tuple(operation.probe(site, found))
        if any(map(_NEWER_WORDS.search, ddl)):
            with site.for_older_server():
                older = Probe(found, tuple(operation.probe(site, found)), path)
    return Case(operation, site, Probe(found, ddl, path), older=older)


def compare(connection: BaseDatabaseWrapper, cases: Sequence[Case]) -> list[Snapshot]:
    """Return a snapshot for each case: the table found, and the probe with the declaration built on it.

    There is no probe if the table has nothing of the declared names to compare with. Take two round trips,
    the second only if something is spelled differently.
    """
    asked = [each for each in cases if each.copy and each.copy.ddl]
    probes = [copy for each in asked for copy in (each.copy, each.older) if copy]
    probed = dict(zip(map(id, probes), probe_tables(connection, probes, PROBE), strict=True))
    compared = [
        (copy, _in_found_words(copy.found, wanted, probed.get(id(each.older))))
        for each in asked
        if (copy := each.copy) and isinstance(wanted := probed[id(copy)], Table)
    ]
    folded = dict(
        zip((id(copy) for copy, _ in compared), fold_constants(connection, compared), strict=True)
    )
    return list(_snapshots(cases, probed, folded))


def _in_found_words(found: Table, wanted: Table, older: object) -> Table:
    """Return the wanted table with the older words where those make the very part that was found.

    older: the table in the older words, if there are any and PostgreSQL takes them.
    """
    if not isinstance(older, Table):
        return wanted
    parts = {*found.columns, *found.constraints}
    columns, constraints = (
        tuple(theirs if theirs in parts else ours for ours, theirs in zip(*each, strict=True))
        for each in ((wanted.columns, older.columns), (wanted.constraints, older.constraints))
    )
    return replace(wanted, columns=columns, constraints=constraints)


def _snapshots(
    cases: Sequence[Case],
    probed: dict[int, Table | DatabaseError | Obstacle],
    folded: dict[int, tuple[Table, Table]],
) -> Iterator[Snapshot]:
    """Yield the snapshot of each case; probed, folded: the answers, by the id() of the case's probe."""
    for each in cases:
        copy = each.copy
        answer = probed.get(id(copy))
        if isinstance(answer, DatabaseError) and copy is not None:
            yield _snapshot_of_failure(each, copy, answer)
        elif isinstance(answer, Obstacle) and copy is not None:
            yield Snapshot(copy.found, obstacle=answer)
        elif id(copy) in folded:
            yield Snapshot(*folded[id(copy)])
        else:
            found = copy.found if copy else None
            yield Snapshot(found, behind=each.behind, taken=each.taken)


def _snapshot_of_failure(of: Case, copy: Probe, error: DatabaseError) -> Snapshot:
    """Return a snapshot with PostgreSQL's reason why the table cannot take the declaration."""
    # What makes room on the copy is no part of the declaration.
    declared = (sql for sql in copy.ddl if not sql.startswith(f"ALTER TABLE {PROBE} DROP COLUMN"))
    declaration = "; ".join(declared).replace(PROBE, of.site.table)
    return Snapshot(copy.found, failure=one_line(error), declaration=declaration)
