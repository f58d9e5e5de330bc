"""Reads what the database has of declarations: three round trips, whatever their number."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper

from signals.operations.catalog import Catalog, Copy, Question, Table
from signals.operations.columns import type_of
from signals.operations.errors import Refused, is_impossible, words
from signals.operations.findings import Snapshot
from signals.operations.folding import fold
from signals.operations.foreign_keys import has_constraint, target_table
from signals.operations.site import PROBE, Site

if TYPE_CHECKING:
    from signals.operations.base import Convergent


@dataclass(frozen=True, slots=True)
class Case:
    """A declaration, and the table that was found for it with what is to be put on a copy of it."""

    operation: "Convergent"
    site: Site
    copy: Copy | None


def question(operation: "Convergent", site: Site, family: int = 0) -> Question:
    """What the operation has to know of its table."""
    declared = operation.declared(site)
    return Question(
        site.table,
        tuple(operation.names(site)),
        tuple(type_of(site, field) for field in declared),
        tuple(target_table(site, field) for field in declared if has_constraint(field)),
        family=family,
    )


def read_all(
    connection: BaseDatabaseWrapper, declared: Sequence[tuple["Convergent", Site]]
) -> list[Snapshot]:
    """A snapshot for each operation in its place."""
    found = Catalog(connection).ask([question(operation, site) for operation, site in declared])
    cases = [case(*each, table) for each, table in zip(declared, found, strict=True)]
    return compare(connection, cases)


def case(operation: "Convergent", site: Site, found: Table | None, path: str = "") -> Case:
    """The declaration as DDL for a copy of the table; path: its search_path, if not the session's."""
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
        return Case(operation, site, None)
    with site.on_probe():
        return Case(operation, site, Copy(found, tuple(operation.probe(site, found)), path))


def compare(connection: BaseDatabaseWrapper, cases: Sequence[Case]) -> list[Snapshot]:
    """The tables beside what PostgreSQL makes of their declarations, where there is a rival to compare.

    Two round trips; the second where something is spelled otherwise.
    """
    catalog = Catalog(connection)
    asked = [each.copy for each in cases if each.copy and each.copy.ddl]
    probed = dict(zip(map(id, asked), catalog.probes(asked, PROBE), strict=True))
    compared = [
        (copy, wanted)
        for copy in asked
        if not isinstance(wanted := probed[id(copy)], DatabaseError)
    ]
    folded = dict(zip((id(copy) for copy, _ in compared), fold(catalog, compared), strict=True))
    return list(_snapshots(cases, probed, folded))


def _snapshots(
    cases: Sequence[Case],
    probed: dict[int, Table | DatabaseError],
    folded: dict[int, tuple[Table, Table]],
) -> Iterator[Snapshot]:
    for each in cases:
        copy = each.copy
        answer = probed.get(id(copy))
        if isinstance(answer, DatabaseError) and copy is not None:
            yield _failed(each, copy, answer)
        elif id(copy) in folded:
            yield Snapshot(*folded[id(copy)])
        else:
            yield Snapshot(copy.found if copy else None)


def _failed(of: Case, copy: Copy, error: DatabaseError) -> Snapshot:
    """What PostgreSQL says of a declaration that the table cannot take; raises any other error."""
    declaration = "; ".join(copy.ddl).replace(PROBE, of.site.table)
    if not is_impossible(error):
        of.operation.refuse(declaration, error)
        raise error
    return Snapshot(copy.found, failure=words(error), declaration=declaration)
