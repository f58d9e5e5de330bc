"""Rows for what a comparison with another database shows, beside those of the ordinary survey."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import TypeAlias

from django.db.backends.base.base import BaseDatabaseWrapper

from ..catalog.objects import CatalogObject
from ..catalog.query import quoted
from ..drift.rows import Row
from ..findings import Finding, Status
from ..names import NAME
from .comparing import NAMED_BY_DEFAULT, ComparedObjects, Pair, is_implied
from .recreating import is_replaceable, recreation, site_of
from .replaying import FailedMigration

_Place: TypeAlias = tuple[str, str, str]

# In the order in which one may need the other, and in which a repair makes them.
_ORDER = (
    *("schema", "extension", "enum", "domain", "composite type", "range type", "type", "collation"),
    *(
        "text search dictionary",
        "text search configuration",
        "sequence",
        "table",
        "foreign table",
        "column",
        "primary key",
    ),
    *("unique", "check", "exclusion", "foreign key", "index", "function", "procedure", "aggregate"),
    *("operator", "operator class", "cast"),
    *("view", "materialized view", "rule", "trigger", "row security", "policy", "statistics"),
    *("event trigger", "publication", "foreign server", "comment", "grants", "default privileges"),
)

# What the ordinary survey judges by itself; where it found one as declared, that is so.
_JUDGED = ("column", "enum", *NAMED_BY_DEFAULT)

_SHOWN_AS_SQL = ("cast", "operator", "operator class")  # whose names are SQL
_RELATIONS = ("foreign table", "materialized view", "sequence", "view")
_TYPES = ("composite type", "enum", "range type", "type")

# What may refuse or change rows though no model has it.
_ACTIVE = ("exclusion", "rule", "trigger", "unique")

_KEY_COLUMNS = re.compile(r"FOREIGN KEY \((.+?)\) REFERENCES")

# Django's index for LIKE, which it drops if the type of the column changes; see subjects.py of drift.
_FOR_PATTERNS = re.compile(r".*_[0-9a-f]{8}_like")

_WORD = r"(?<!\w){}(?!\w)"  # a name, which may begin and end with any character

_SINCE_OWN_SQL = "the migrations' own SQL makes it"


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two databases have in common and what not, and how that is told.

    failed: the migrations that could not be replayed, each with the texts of its module.
    origins: the texts of the recorded migrations by label, in their order.
    ignored: patterns of kind and name of differences that are not to be told.
    """

    connection: BaseDatabaseWrapper
    objects: ComparedObjects
    failed: Sequence[FailedMigration] = ()
    origins: Mapping[str, str] = field(default_factory=dict)
    ignored: Sequence[str] = ()

    def with_rows(self, rows: Sequence[Row]) -> list[Row]:
        """Return the rows of the ordinary survey and those of the differences that they do not tell."""
        same = {_place_of(each) for pair in self.objects.same for each in _both(pair)}
        told = {_place(row.finding): row for row in rows if _is_final(row)}
        tables = {row.finding.table for row in rows}
        unnamed = self._told_by_columns(rows)
        further, replaced = [], set[_Place]()
        for pair in sorted(self.objects.different, key=_rank):
            row = self._row(pair)
            is_for_patterns = pair.any.kind == "index" and _FOR_PATTERNS.fullmatch(pair.any.name)
            if is_for_patterns and pair.any.table in tables:
                continue  # where one is missed, the ordinary survey tells it
            kind = (pair.any.kind, pair.any.table)
            if pair.found is None and is_implied(pair.any.name) and unnamed[kind]:
                unnamed[kind] -= 1
                continue
            if not self._is_told(row, pair, told):
                further.append(row)
                replaced |= set(map(_place_of, _both(pair)))
        kept = [
            _explained(row) if _place(row.finding) in same and _is_unexplained(row) else row
            for row in rows
            if _place(row.finding) not in replaced
        ]
        judged = {_place(row.finding) for row in [*rows, *further]}
        return [*kept, *self._right(judged), *further, *self._failures()]

    def _told_by_columns(self, rows: Sequence[Row]) -> Counter[tuple[str, str]]:
        """Return, by kind and table, how many parts the ordinary rows miss under names that no object has.

        The ordinary survey knows what a field implies by its columns, and may name it otherwise.
        """
        pairs = [*self.objects.different, *self.objects.same]
        names = {_place_of(each) for pair in pairs for each in _both(pair)}
        return Counter(
            (row.finding.component, row.finding.table)
            for row in rows
            if row.finding.status is Status.MISSING and _place(row.finding) not in names
        )

    def _right(self, judged: set[_Place]) -> Iterator[Row]:
        """Yield a row for each object that is the same and that no other row is about."""
        for pair in sorted(self.objects.same, key=_rank):
            if not judged.isdisjoint(map(_place_of, _both(pair))):
                continue
            found, wanted = pair.found or pair.any, pair.any
            finding = Finding(found.kind, found.name, found.table, Status.EXISTS, found.definition)
            if found.version != wanted.version:
                note = f"version {found.version} in the database, {wanted.version} in a new one"
                finding = replace(finding, note=note)
            yield Row(finding, self._origin(wanted))

    def _is_told(self, row: Row, pair: Pair, told: Mapping[_Place, Row]) -> bool:
        """Return whether a row of the ordinary survey tells the difference, or a pattern ignores it."""
        is_ignored = any(fnmatchcase(pair.any.label, each) for each in self.ignored)
        if is_ignored or (pair.wanted is None and _is_for_old_code(pair.any, told.values())):
            return True
        finding = row.finding
        places = {_place(finding), *map(_place_of, _both(pair))}
        if columns := _KEY_COLUMNS.match(pair.any.definition):
            places.add((_group("foreign key"), _unquoted(columns[1]), finding.table))
        if pair.any.kind == "primary key":  # of which the ordinary row of the table tells
            places.add((_group("table"), _unquoted(finding.table), finding.table))
        if pair.any.kind in _RELATIONS:  # which may be in the place of a table
            places.add((_group("table"), pair.any.name, quoted(pair.any.name)))
        rows = [told[each] for each in places & told.keys()]
        return any(pair.wanted is None or not _is_unexplained(row) for row in rows)

    def _row(self, pair: Pair) -> Row:
        finding = self._unjudged(pair, _finding(pair))
        operation = recreation(pair.wanted) if pair.wanted and _is_made(finding) else None
        site = site_of(self.connection, pair.wanted) if pair.wanted and operation else None
        origin = self._origin(pair.wanted) if pair.wanted else ""
        return Row(finding, origin, operation, site)

    def _origin(self, each: CatalogObject) -> str:
        """Return the last migration that has the object's name, or the first with its table's in quotes."""
        name, table = each.name.partition("(")[0], each.table.replace('"', "")
        for part, word, place in ((name, _WORD, -1), (table, r"[\"']{}[\"']", 0)):
            whole = re.compile(word.format(re.escape(part)))
            found = [label for label, text in self.origins.items() if part and whole.search(text)]
            if found:
                return found[place]
        return ""

    def _unjudged(self, pair: Pair, finding: Finding) -> Finding:
        """Return the finding, or that nobody knows, if a migration that failed may have made the object."""
        for failure in self.failed:
            text = self.origins.get(f"{failure.app_label}.{failure.name}", "")
            if any(_may_make(failure, text, each) for each in _both(pair)):
                unknown = replace(finding, status=Status.UNJUDGED, wanted="", replaceable=False)
                return replace(unknown, note=str(failure), fix=_advice(failure))
        return finding

    def _failures(self) -> Iterator[Row]:
        for each in self.failed:
            label = f"{each.app_label}.{each.name}"
            if any(fnmatchcase(f"migration {label}", pattern) for pattern in self.ignored):
                continue
            finding = Finding("migration", each.name, each.app_label, Status.UNJUDGED)
            finding = replace(finding, note=str(each), fix=_advice(each))
            yield Row(finding, label)


def _may_make(failure: FailedMigration, text: str, each: CatalogObject) -> bool:
    """Return whether the text of the migration names the object or its table, or that is of its app."""
    table = each.table.replace('"', "")
    name = table or each.name.partition("(")[0]
    is_of_app = table.startswith(f"{failure.app_label}_")
    return is_of_app or _has(text, name)


def _has(text: str, name: str) -> bool:
    """Return whether the text has the name as a word."""
    return re.search(_WORD.format(re.escape(name)), text) is not None


def _advice(failure: FailedMigration) -> str:
    label = f"{failure.app_label}.{failure.name}"
    return (
        "let the migration run on an empty database too, or leave out what it makes by "
        f"--shadow-ignore 'migration {label}' and a pattern for each object"
    )


def _finding(pair: Pair) -> Finding:
    """Return the finding on a pair that differs."""
    found, wanted, each = pair.found, pair.wanted, pair.any
    if found is None and wanted is not None:
        fix = wanted.create or _addition(wanted)
        missing = Finding(each.kind, each.name, each.table, Status.MISSING)
        return replace(missing, wanted=wanted.definition, fix=_ended(fix))
    if wanted is None:
        drop = _drop(each)
        extra = Finding(each.kind, each.name, each.table, Status.UNDECLARED, each.definition)
        is_active = each.kind in _ACTIVE or each.definition.startswith("UNIQUE INDEX")
        note = "it may refuse or change rows that the models allow" if is_active else ""
        return replace(extra, fix=drop, note=note, refuses_writes=is_active)
    assert found is not None  # noqa: S101 - narrows: no pair is of nothing
    finding = Finding(
        each.kind, each.name, each.table, Status.DIFFERENT, _shown(found), _shown(wanted)
    )
    if pair.is_renamed:
        note = f"it is there under the name {found.name}"
        rename = f"CONSTRAINT {quoted(found.name)}"
        on = f"ALTER TABLE {each.table} RENAME {rename} TO {quoted(each.name)};"
        if each.kind == "index":
            on = f"ALTER INDEX {found.sql_name} RENAME TO {quoted(each.name)};"
        return replace(finding, status=Status.UNFINISHED, fix=on, note=note)
    if found.state and not wanted.state and found.definition == wanted.definition:
        return replace(finding, status=Status.UNFINISHED, fix=_completion(found))
    fix = _change(found, wanted)
    return replace(finding, fix=fix, replaceable=is_replaceable(wanted))


def _shown(each: CatalogObject) -> str:
    extra = [f"WITH ({', '.join(each.options)})"] if each.options else []
    return " ".join([each.definition, *extra, *([each.state] if each.state else [])])


def _completion(found: CatalogObject) -> str:
    if found.kind == "index":
        return f"REINDEX INDEX CONCURRENTLY {found.sql_name};"
    if found.kind == "domain":
        return f"ALTER DOMAIN {found.sql_name} VALIDATE CONSTRAINT …;"
    return f"ALTER TABLE {found.table} VALIDATE CONSTRAINT {quoted(found.name)};"


def _addition(wanted: CatalogObject) -> str:
    """Return the SQL that makes an object that is missing; empty if it takes more than one line."""
    if wanted.kind == "column":
        return f"ALTER TABLE {wanted.table} ADD COLUMN {quoted(wanted.name)} {wanted.definition}"
    simple = {"enum": "AS ENUM ({})", "composite type": "AS ({})"}
    if wanted.kind in simple:
        return f"CREATE TYPE {wanted.sql_name} {simple[wanted.kind].format(wanted.definition)}"
    return f"CREATE DOMAIN {wanted.sql_name} AS {wanted.definition}" * (wanted.kind == "domain")


def _change(found: CatalogObject, wanted: CatalogObject) -> str:
    """Return the SQL that makes the found object the wanted one, or in words what to do."""
    if wanted.kind == "sequence":
        ends = "" if "MAXVALUE" in wanted.definition else " NO MAXVALUE"
        cycle = "" if "CYCLE" in wanted.definition else " NO CYCLE"
        return f"ALTER SEQUENCE {found.sql_name} {wanted.definition}{ends}{cycle};"
    if wanted.kind in NAMED_BY_DEFAULT and wanted.create:
        return f"{_drop(found)} {wanted.create};"
    return _ended(wanted.create) if wanted.create else f"alter it to: {_shown(wanted)}"


def _drop(each: CatalogObject) -> str:
    name = each.sql_name
    table = f"ALTER TABLE {each.table}"
    given = {
        "column": f"{table} DROP COLUMN {name};",
        "index": f"DROP INDEX CONCURRENTLY {name};",
        "row security": f"{table} NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY;",
        "comment": f"{each.create.partition(' IS ')[0]} IS NULL;",
        "grants": "REVOKE them",
        "default privileges": "ALTER DEFAULT PRIVILEGES … REVOKE …",
        "foreign server": f"DROP SERVER {name};",
        **dict.fromkeys(_SHOWN_AS_SQL, f"DROP {each.kind.upper()} {each.name};"),
        **dict.fromkeys(_TYPES, f"DROP TYPE {name};"),
        **dict.fromkeys(
            ("policy", "rule", "trigger"), f"DROP {each.kind.upper()} {name} ON {each.table};"
        ),
    }
    if each.kind in NAMED_BY_DEFAULT and each.kind != "index":
        return f"{table} DROP CONSTRAINT {name};"
    return given.get(each.kind, f"DROP {each.kind.upper()} {name};")


def _unquoted(name: str) -> str:
    """Return the plain name of a quoted one; one that is not quoted, or has a schema, as it is."""
    return name[1:-1].replace('""', '"') if re.fullmatch(r'"(?:[^"]|"")+"', name) else name


def _ended(sql: str) -> str:
    return f"{sql.rstrip(';')};" if sql else ""


def _is_made(finding: Finding) -> bool:
    is_changed = finding.status is Status.DIFFERENT and finding.replaceable
    return is_changed or finding.status is Status.MISSING


def _both(pair: Pair) -> list[CatalogObject]:
    return [each for each in (pair.found, pair.wanted) if each is not None]


def _group(kind: str) -> str:
    """Return one word for the parts of a table that one may stand for the other."""
    return "part" if kind in NAMED_BY_DEFAULT else kind


def _place(finding: Finding) -> _Place:
    return _group(finding.component), finding.name, finding.table


def _place_of(each: CatalogObject) -> _Place:
    return _group(each.kind), each.name, each.table


def _is_final(row: Row) -> bool:
    """Return whether the row tells all that is to be told of its component."""
    is_judged = row.finding.component in _JUDGED and not row.finding.note
    return is_judged or not row.finding.status.is_right


def _is_for_old_code(each: CatalogObject, rows: Iterable[Row]) -> bool:
    """Return whether the object belongs to what the phase expand left, of which a row tells.

    That is a trigger and its function, or a view and its comment.
    """
    if each.kind in ("trigger", "function"):
        return each.name.startswith(f"{NAME}_")
    views = [row.finding.name for row in rows if row.finding.component == "view"]
    return each.kind in ("view", "comment") and each.name.removeprefix("view ") in views


def _is_unexplained(row: Row) -> bool:
    return row.finding.status in (Status.UNDECLARED, Status.LEFTOVER, Status.AWAITING)


def _explained(row: Row) -> Row:
    """Return the row of an undeclared component as one that is there because a migration made it so."""
    finding = replace(row.finding, status=Status.EXISTS, fix="", note=_SINCE_OWN_SQL)
    return replace(row, finding=replace(finding, refuses_writes=False))


def _rank(pair: Pair) -> tuple[int, str, str]:
    kind = pair.any.kind
    place = _ORDER.index(kind) if kind in _ORDER else len(_ORDER)
    return place, pair.any.table, pair.any.name
