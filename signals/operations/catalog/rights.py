"""Which of the rights that a run needs the current role lacks."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from django.db.backends.base.base import BaseDatabaseWrapper

from .query import compose, query_rows, quoted
from .records import RECORDER_TABLE


class Right(StrEnum):
    """A right, and what has to be named for it.

    OWN, DROP: to alter or drop a table. REFER: to refer to it. FILL: to read and update its rows. BUILD: to
    build an index of it. CREATE: to create a table of that name. TEMPORARY: to make temporary tables.
    EXTENSION: to create that extension. RECORD, UNRECORD: to record that a migration is applied, or is not.
    NUMBER: to take numbers from the sequence of a column of the table.
    """

    OWN = "own"
    DROP = "drop"
    REFER = "refer"
    FILL = "fill"
    BUILD = "build"
    CREATE = "create"
    TEMPORARY = "temporary"
    EXTENSION = "extension"
    RECORD = "record"
    UNRECORD = "unrecord"
    NUMBER = "number"


@dataclass(frozen=True, slots=True)
class Need:
    """A right that something needs; name: of the table, quoted, or of the extension."""

    right: Right
    name: str = ""


@dataclass(frozen=True, slots=True)
class Lack:
    """A need of which the role has not the right.

    owner: that of the table.
    place: the schema in which something is to be created, or the sequence, quoted where needed.
    is_member: whether the role is a member of the owner, and does not inherit its rights.
    """

    need: Need
    role: str
    database: str
    owner: str | None
    place: str | None
    is_member: bool

    @property
    def what(self) -> str:
        """Return what the role may not do."""
        name = self.need.name
        schema = f"schema {self.place}"
        texts = {
            Right.OWN: f"table {name} belongs to {quoted(self.owner or '')}",
            Right.DROP: f"table {name} belongs to {quoted(self.owner or '')}",
            Right.REFER: f"no foreign key may refer to table {name}",
            Right.FILL: f"the rows of table {name} may not be read and updated",
            Right.BUILD: f"no index may be created in {schema}",
            Right.CREATE: f"no table may be created in {schema}",
            Right.TEMPORARY: "no temporary table may be made, as a comparison needs one",
            Right.EXTENSION: f"extension {name} may not be created",
            Right.RECORD: f"no migration may be recorded in {RECORDER_TABLE}",
            Right.UNRECORD: f"no record may be deleted from {RECORDER_TABLE}",
            Right.NUMBER: f"no number may be taken from sequence {self.place}",
        }
        return texts[self.need.right]

    def fix(self, *, has_inherit: bool) -> str:
        """Return the SQL that gives the role the right.

        has_inherit: whether the server has GRANT ... WITH INHERIT, as since PostgreSQL 16.
        """
        name, role = self.need.name, quoted(self.role)
        if self.need.right in (Right.OWN, Right.DROP):
            membership = f"GRANT {quoted(self.owner or '')} TO {role}"
            if self.is_member and has_inherit:
                membership += " WITH INHERIT TRUE"
            elif self.is_member:
                membership = f"ALTER ROLE {role} INHERIT"
            return f"{membership}; or ALTER TABLE {name} OWNER TO {role};"
        rights = {
            Right.NUMBER: f"USAGE ON SEQUENCE {self.place}",
            Right.UNRECORD: f"SELECT, INSERT, DELETE ON {name}",
            Right.REFER: f"REFERENCES ON {name}",
            Right.FILL: f"SELECT, UPDATE ON {name}",
            Right.TEMPORARY: f"TEMPORARY ON DATABASE {quoted(self.database)}",
            Right.EXTENSION: f"CREATE ON DATABASE {quoted(self.database)}",
        }
        if self.need.right is Right.RECORD and self.place is None:  # the table is there
            return f"GRANT {rights[Right.UNRECORD]} TO {role};"
        return f"GRANT {rights.get(self.need.right, f'CREATE ON SCHEMA {self.place}')} TO {role};"


# `r` is the relation if it exists, `s` the schema in which something is to be created, `q` a sequence that
# the role may not use. All functions know superusers and inherited membership, as pg_has_role() does with
# USAGE. Of what does not exist they return NULL.
_HELD = """CASE n."right"
  WHEN 'own' THEN pg_catalog.pg_has_role(r.relowner, 'USAGE')
  WHEN 'drop' THEN pg_catalog.pg_has_role(r.relowner, 'USAGE') OR (SELECT
      pg_catalog.pg_has_role(o.nspowner, 'USAGE') FROM pg_catalog.pg_namespace o WHERE o.oid = r.relnamespace)
  WHEN 'refer' THEN pg_catalog.has_any_column_privilege(r.oid, 'REFERENCES')
  WHEN 'fill' THEN pg_catalog.has_any_column_privilege(r.oid, 'SELECT')
      AND pg_catalog.has_any_column_privilege(r.oid, 'UPDATE')
  WHEN 'build' THEN r.oid IS NULL OR pg_catalog.has_schema_privilege(s.oid, 'CREATE')
  WHEN 'create' THEN pg_catalog.has_schema_privilege(s.oid, 'CREATE')
  WHEN 'temporary' THEN pg_catalog.has_database_privilege(pg_catalog.current_database(), 'TEMPORARY')
  WHEN 'extension' THEN
    EXISTS (SELECT FROM pg_catalog.pg_extension e WHERE e.extname = n.name)
    OR pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE')
    OR NOT EXISTS (SELECT FROM pg_catalog.pg_available_extension_versions v
                   WHERE v.name = n.name AND v.trusted)
  WHEN 'record' THEN CASE WHEN r.oid IS NULL THEN pg_catalog.has_schema_privilege(s.oid, 'CREATE')
    ELSE pg_catalog.has_table_privilege(r.oid, 'INSERT') END
  WHEN 'number' THEN q.name IS NULL
  WHEN 'unrecord' THEN r.oid IS NULL OR pg_catalog.has_table_privilege(r.oid, 'DELETE')
END"""

_LACKED = f"""
SELECT n.place, CURRENT_USER::pg_catalog.text, pg_catalog.current_database()::pg_catalog.text,
  pg_catalog.pg_get_userbyid(r.relowner)::pg_catalog.text,
  COALESCE(q.name, pg_catalog.quote_ident(s.nspname)),
  COALESCE(pg_catalog.pg_has_role(r.relowner, 'MEMBER'), false)
FROM pg_catalog.jsonb_to_recordset(%s::pg_catalog.jsonb) n (place int4, "right" text, name text)
LEFT JOIN pg_catalog.pg_class r ON r.oid = CASE
  WHEN n."right" NOT IN ('create', 'temporary', 'extension') THEN pg_catalog.to_regclass(n.name) END
LEFT JOIN pg_catalog.pg_namespace s ON CASE n."right"
  WHEN 'build' THEN s.oid = r.relnamespace
  WHEN 'record' THEN r.oid IS NULL AND s.nspname = pg_catalog.current_schema()
  WHEN 'create' THEN s.nspname = COALESCE(
    (pg_catalog.parse_ident(NULLIF(n.name, '')))[
      pg_catalog.array_length(pg_catalog.parse_ident(NULLIF(n.name, '')), 1) - 1],
    pg_catalog.current_schema()) END
LEFT JOIN LATERAL (
  SELECT c.oid::pg_catalog.regclass::pg_catalog.text FROM pg_catalog.pg_depend d
  JOIN pg_catalog.pg_class c ON c.oid = d.objid AND c.relkind = 'S'
  WHERE n."right" = 'number' AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
  AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = r.oid
  AND d.deptype = 'a' AND NOT pg_catalog.has_sequence_privilege(c.oid, 'USAGE, UPDATE')
  LIMIT 1) q (name) ON true
WHERE NOT {_HELD} ORDER BY n.place
"""  # noqa: S608 - a constant


def lacked_rights(connection: BaseDatabaseWrapper, needs: Sequence[Need]) -> list[Lack]:
    """Return the needs of which the current role has not the right; ask once for all of them.

    A right on what does not exist is not lacked: the run will make it.
    """
    records = [{"place": place, **asdict(each)} for place, each in enumerate(needs)]
    question = compose(connection, _LACKED, [json.dumps(records, ensure_ascii=False)])
    return [Lack(needs[place], *facts) for place, *facts in query_rows(connection, question)]
