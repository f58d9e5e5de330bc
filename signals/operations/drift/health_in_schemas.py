"""The health of the tables of many schemas, for which the server is asked once."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper

from ..catalog.health import Vitals
from ..catalog.health_in_schemas import (
    SameTable,
    applied_at,
    in_schema_of,
    read_vitals_in_schemas,
)
from ..catalog.tables import Table
from ..errors import is_overtaken
from ..site import Site
from .health import WORTH_A_NOTE, DeclaredFound, rows_by_vitals
from .rows import Row


@dataclass(frozen=True, slots=True)
class DeclaredInSchemas:
    """A declared table that is the same in several schemas.

    found: that of one of them. rows: those on the table.
    """

    site: Site
    found: Table
    schemas: Sequence[str]
    rows: Sequence[Row]


def health_rows_in_schemas(
    connection: BaseDatabaseWrapper,
    tables: Sequence[DeclaredInSchemas],
    recorder_tables: Mapping[str, str],
) -> Iterator[tuple[str, Row]]:
    """Yield the schema and a row for each sequence, collation and index that is not well there.

    Take one round trip, and another one where an index may have been of no use since a migration built it.
    Yield nothing if another session drops one of the tables meanwhile.

    recorder_tables: the quoted name of the table in which migrations are recorded, by schema.
    """
    if not tables:
        return
    try:
        same = [SameTable(each.found, each.schemas) for each in tables]
        vitals = _with_ages(
            connection, read_vitals_in_schemas(connection, same, WORTH_A_NOTE), recorder_tables
        )
    except DatabaseError as error:
        if connection.needs_rollback or not is_overtaken(error):
            raise
        return
    by_schema: dict[str, list[DeclaredInSchemas]] = defaultdict(list)
    for each in tables:
        for schema in each.schemas:
            by_schema[schema].append(each)
    for schema, known in vitals.items():
        found = [
            DeclaredFound(each.site, in_schema_of(each.found, schema)) for each in by_schema[schema]
        ]
        rows = [row for each in by_schema[schema] for row in each.rows]
        for row in rows_by_vitals(found, known, rows):
            yield schema, row


def _with_ages(
    connection: BaseDatabaseWrapper,
    vitals: Mapping[str, Vitals],
    recorder_tables: Mapping[str, str],
) -> dict[str, Vitals]:
    """Return the facts with the times at which migrations were recorded, where there are large indexes."""
    asked = {recorder_tables[schema] for schema, known in vitals.items() if known.indexes}
    applied = applied_at(connection, sorted(asked)) if asked else {}
    return {
        schema: replace(known, applied=applied.get(recorder_tables[schema], {}))
        for schema, known in vitals.items()
    }
