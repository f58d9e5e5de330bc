"""All objects of schemas, and those of the database itself, in one form for every kind."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from .object_grants import GRANTS
from .object_kinds import KINDS
from .object_operators import OPERATORS
from .object_tables import RELATIONS
from .query import IN_FULL, INTERPRETED, compose, query_rows, query_scripts, quoted


@dataclass(frozen=True, slots=True)
class CatalogObject:
    """An object of a schema or of the database, as the catalog describes it.

    name: with its schema unless that is the judged one; of a function with the types of its arguments.
    table: the quoted name of the table that it belongs to, as rows have it; empty if there is none.
    definition: as PostgreSQL prints it, without the object's own name and the judged schema.
    expressions: the parts of the definition that PostgreSQL may spell otherwise after dump and restore.
    source: what the expressions select from, as SQL; empty if they refer to no column. Of a sequence the
        column that it numbers.
    options: storage parameters, which are compared only if both objects have them.
    state: why the object is not in force, as INVALID or NOT VALID; empty if it is.
    create: SQL that makes it so and may run twice; empty if there is none that is safe.
    version: of an extension, which is not compared.
    """

    kind: str
    name: str
    table: str
    definition: str
    expressions: tuple[str, ...] = ()
    source: str = ""
    options: tuple[str, ...] = ()
    state: str = ""
    create: str = ""
    version: str = ""

    @property
    def label(self) -> str:
        """Return the kind and the name, as in: trigger touch."""
        return f"{self.kind} {self.name}"

    @property
    def sql_name(self) -> str:
        """Return the quoted name as SQL, with its schema unless that is the judged one."""
        if self.kind in ("table", "foreign table"):
            return self.table
        if self.table:
            found = _SCHEMA_OF_TABLE.match(self.table)
            has_schema = self.kind in ("index", "sequence", "statistics") and found
            return f"{found[0] if has_schema and found else ''}{quoted(self.name)}"
        found = _QUALIFIED.fullmatch(self.name)
        place, name = (found[1], found[2]) if found else ("", self.name)
        if self.kind in _WITH_ARGUMENTS:
            name, _, arguments = name.rpartition("(")
            return f"{place}{quoted(name)}({arguments}"
        return f"{place}{quoted(name)}"

    @property
    def key(self) -> tuple[str, str, str]:
        """Return what tells the object from the others of its schema."""
        return self.kind, self.name, self.table


_WITH_ARGUMENTS = ("aggregate", "function", "procedure")

# The schema in front of a quoted table, and in front of the plain name of an object.
_SCHEMA_OF_TABLE = re.compile(r'"(?:[^"]|"")+"\.(?=")')
_QUALIFIED = re.compile(r'("(?:[^"]|"")+"\.)(.+)', re.DOTALL)

# PostgreSQL's own schemas, and those that belong to an extension.
_SCHEMAS = """
SELECT n.nspname FROM pg_catalog.pg_namespace n
WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e
  WHERE e.classid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND e.objid = n.oid AND e.deptype = 'e')
ORDER BY n.nspname
"""

# What stands in a query for: the object belongs to no extension.
_OWN = re.compile(r"<own (\w+) (\w+)>")
_NOT_OF_EXTENSION = (
    r"NOT EXISTS (SELECT FROM pg_catalog.pg_depend e WHERE e.classid = "
    r"'pg_catalog.pg_\1'::pg_catalog.regclass AND e.objid = \2.oid AND e.deptype = 'e')"
)

# The storage parameters in the definition of an index. A value may be quoted.
_WITH = re.compile(r" WITH \((?:\w+='[^']*'(?:, )?)+\)")

_CONDITION = re.compile(r" WHEN \((.*)\) EXECUTE (?:FUNCTION|PROCEDURE) ", re.DOTALL)


def find_schemas(connection: BaseDatabaseWrapper) -> list[str]:
    """Return the names of all schemas but PostgreSQL's own and those of extensions."""
    return [name for (name,) in query_rows(connection, _SCHEMAS)]


def read_objects(
    connection: BaseDatabaseWrapper, judged: str, schemas: Sequence[str], *, grants: bool = False
) -> list[CatalogObject]:
    """Return the objects of the schemas and of the database; those of extensions are left out.

    Take one round trip, and ACCESS SHARE on tables for an instant.

    judged: the schema that the session is taken to work in, whose name appears nowhere.
    grants: whether to read privileges too, those of the owners excepted.
    """
    names = compose(connection, "%s::pg_catalog.text[]", [[judged, *schemas]])
    queries = [*RELATIONS, *KINDS, *OPERATORS, *(GRANTS if grants else ())]
    script = [f"SET LOCAL search_path = {quoted(judged)}", IN_FULL, INTERPRETED]
    for query in queries:
        text = _OWN.sub(_NOT_OF_EXTENSION, query).replace("<schemas>", names)
        script.append(text.replace("<judged>", compose(connection, "%s", [judged])))
    answers = query_scripts(connection, script)
    return [_parse(judged, row) for rows in answers for row in rows]


def _parse(judged: str, row: Sequence[Any]) -> CatalogObject:
    """Return the object of a row; see object_tables.py for its columns."""
    kind, schema, name, table, definition, expressions, source, options, state, create = row
    place = "" if schema in (None, judged) else f"{quoted(schema)}."
    on_table = f"{place}{quoted(table)}" if table is not None else ""
    if options and kind == "index":
        definition = _WITH.sub("", definition, count=1)
    parts = tuple(each for each in expressions or () if each and each in definition)
    version, state = (state, None) if kind == "extension" else ("", state)
    if kind == "trigger" and (found := _CONDITION.search(definition)):
        parts = (found[1],)
        source = f"{on_table} row_before, {on_table} row_after"
    return CatalogObject(
        kind=kind,
        name=name if table is not None or kind == "schema" else f"{place}{name}",
        table=on_table,
        definition=definition,
        expressions=parts,
        source=on_table if source == "table" else source or "",
        options=tuple(sorted(options or ())),
        state=state or "",
        create=create or "",
        version=version,
    )
