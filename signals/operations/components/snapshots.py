"""Read the snapshots of any number of declarations, in three round trips."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper

from ..catalog.probes import Probe, probe_tables
from ..catalog.questions import Question, ask
from ..catalog.tables import Table
from ..contract import Contract
from ..errors import Refused, is_impossible, one_line
from ..execution.run import run_of
from ..findings import Snapshot
from ..names import PROBE
from ..refusals import refuse_statement
from ..site import Site
from .columns import collation_of, type_of
from .constant_folding import fold_constants
from .foreign_keys import has_db_constraint, target_table


@dataclass(frozen=True, slots=True)
class Case:
    """A declaration, and the probe on which PostgreSQL is to build it.

    copy: the probe of the table found; None if the table does not exist or is not the declared one.
    behind: the table found, if it is not the declared one.
    """

    operation: Contract
    site: Site
    copy: Probe | None
    behind: Table | None = None


def question(operation: Contract, site: Site, family: int = 0) -> Question:
    """Return the question that looks up the operation's table."""
    declared = operation.declared(site)
    return Question(
        site.table,
        tuple(operation.names(site)),
        tuple(type_of(site, field) for field in declared),
        tuple(target_table(site, field) for field in declared if has_db_constraint(field)),
        tuple(filter(None, (collation_of(site, field) for field in declared))),
        family=family,
    )


def read_all(
    connection: BaseDatabaseWrapper, declared: Sequence[tuple[Contract, Site]]
) -> list[Snapshot]:
    """Return a snapshot for each operation at its site, in the same order.

    In a run of `migrate`, query only what the run has not read since it changed something.
    """
    answers = run_of(connection).answers
    questions = [question(operation, site) for operation, site in declared]
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


def case(operation: Contract, site: Site, found: Table | None, path: str = "") -> Case:
    """Return the Case of the operation for the table found.

    path: the search_path for the probe, as SQL; empty for that of the session. Raise Refused if a temporary
    table of the session hides the table.
    """
    if found is None:
        return Case(operation, site, None)
    if found.temporary:
        raise Refused(
            operation.describe(),
            site.table,
            f"a temporary table {site.table} of this session stands in front of it",
            "drop the temporary table, or migrate in another session",
        )
    if not operation.accepts(site, found):
        return Case(operation, site, None, found)
    with site.on_probe():
        return Case(operation, site, Probe(found, tuple(operation.probe(site, found)), path))


def compare(connection: BaseDatabaseWrapper, cases: Sequence[Case]) -> list[Snapshot]:
    """Return a snapshot for each case: the table found, and the probe with the declaration built on it.

    There is no probe if the table has nothing of the declared names to compare with. Take two round trips,
    the second only if something is spelled differently.
    """
    asked = [each.copy for each in cases if each.copy and each.copy.ddl]
    probed = dict(zip(map(id, asked), probe_tables(connection, asked, PROBE), strict=True))
    compared = [
        (copy, wanted)
        for copy in asked
        if not isinstance(wanted := probed[id(copy)], DatabaseError)
    ]
    folded = dict(
        zip((id(copy) for copy, _ in compared), fold_constants(connection, compared), strict=True)
    )
    return list(_snapshots(cases, probed, folded))


def _snapshots(
    cases: Sequence[Case],
    probed: dict[int, Table | DatabaseError],
    folded: dict[int, tuple[Table, Table]],
) -> Iterator[Snapshot]:
    """Yield the snapshot of each case; probed, folded: the answers, by the id() of the case's probe."""
    for each in cases:
        copy = each.copy
        answer = probed.get(id(copy))
        if isinstance(answer, DatabaseError) and copy is not None:
            yield _snapshot_of_failure(each, copy, answer)
        elif id(copy) in folded:
            yield Snapshot(*folded[id(copy)])
        else:
            yield Snapshot(copy.found if copy else None, behind=each.behind)


def _snapshot_of_failure(of: Case, copy: Probe, error: DatabaseError) -> Snapshot:
    """Return a snapshot with PostgreSQL's reason why the table cannot take the declaration.

    Raise StatementRefused, or the error itself, if the declaration is not the reason.
    """
    declaration = "; ".join(copy.ddl).replace(PROBE, of.site.table)
    if not is_impossible(error):
        refuse_statement(of.operation, declaration, error)
        raise error
    return Snapshot(copy.found, failure=one_line(error), declaration=declaration)
