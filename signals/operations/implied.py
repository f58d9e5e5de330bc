"""The check, index and uniqueness that a field implies, recognized by their definitions, not their names."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain, count
from typing import Any

from django.db.models import BaseConstraint, BooleanField, CheckConstraint, Index, UniqueConstraint
from django.db.models.expressions import RawSQL

from .add_check import AddCheckIfMissing
from .add_unique import AddUniqueIfMissing
from .base import Convergent
from .catalog.indexes import Index as CatalogIndex
from .catalog.tables import Constraint, Table
from .components import guards
from .components.columns import collation_of, gains_index
from .components.constraints import drop_constraint, same_check
from .components.indexes import rename_index, with_renamed_index
from .create_index import CreateIndexConcurrentlyIfMissing
from .findings import Finding, Snapshot, Status
from .names import MAX_NAME_BYTES, shortened
from .refusals import require_table
from .site import AnyField, Site
from .statements import Lock, Statement

_OF_AN_INDEX = ("condition", "include", "opclasses")  # arguments that no constraint can have
PATTERNS = {"varchar": "varchar_pattern_ops", "text": "text_pattern_ops"}
_NUMBER_CAST = re.compile(r"\(([^()]+)\)::(?:smallint|integer|bigint|numeric|double precision)")


def implied(
    model_name: str,
    site: Site,
    field: AnyField,
    found: Table | None,
    *,
    in_table: bool = False,
) -> Iterator[Convergent]:
    """Yield the operations for the field's own check, index and uniqueness.

    Leave out an index or uniqueness that another index of the table serves, and those of a primary key,
    which are created with the table.

    found: the table, or None to leave out nothing.
    in_table: whether the field may have been created with the table. Of a unique field and a
        UniqueConstraint of that field alone CREATE TABLE makes one constraint, which serves both.
    """
    check = field.db_parameters(site.connection)["check"]
    if check:
        yield _ImpliedCheck(model_name, site, field, str(check))
    if field.primary_key:
        return
    if field.unique:
        yield from implied_unique(model_name, site, [field.name], found, in_table=in_table)
    elif getattr(field, "db_index", False):
        yield from implied_index(model_name, site, [field.name], found)
    yield from implied_pattern(model_name, site, field, found)


def own_constraints(
    declared: Sequence[BaseConstraint], found: Table | None
) -> Iterator[BaseConstraint]:
    """Yield the constraints without those that are missing because another one is the same but for its name.

    CREATE TABLE makes one of several such uniquenesses. Django writes them into it unless they need an index
    of their own.
    """
    for constraint in declared:
        alike = [each for each in declared if _is_merged(each, constraint)]
        there = [each for each in alike if found and found.constraint(each.name)]
        if not there or constraint in there:
            yield constraint


def _is_merged(one: BaseConstraint, other: BaseConstraint) -> bool:
    """Return whether CREATE TABLE makes one constraint of the two."""
    if not (isinstance(one, UniqueConstraint) and isinstance(other, UniqueConstraint)):
        return False
    declared, others = ({**each.deconstruct()[2], "name": ""} for each in (one, other))
    return bool(one.fields) and declared == others and declared.keys().isdisjoint(_OF_AN_INDEX)


def implied_later(
    model_name: str, name: str, site: Site, found: Table | None
) -> Iterator[Convergent]:
    """Yield the operations for what the altered field implies and the former field did not.

    As with Django, the field gains an index for LIKE with an index or uniqueness only, and not with its type.
    """
    field, former = site.field(name), None
    known: set[str] = set()
    if site.before is not None:
        then = replace(site, model=site.before)
        former = then.field(name)
        known = {part.describe() for part in implied(model_name, then, former, None)}
        if not gains_index(former, field):
            known |= {part.describe() for part in implied_pattern(model_name, site, field, None)}
    parts = implied(model_name, site, field, found)
    return (part for part in parts if part.describe() not in known)


def implied_unique(
    model_name: str,
    site: Site,
    names: Sequence[str],
    found: Table | None,
    *,
    in_table: bool = False,
) -> Iterator[Convergent]:
    """Yield the operation that makes the fields unique together, unless another index of the table does."""
    columns = [site.column(name) for name in names]
    name = site.name_for(columns, "_uniq")
    if not _has_another(site, name, found, columns, unique=True, in_table=in_table):
        yield _ImpliedUnique(model_name, UniqueConstraint(fields=names, name=name))


def implied_index(
    model_name: str, site: Site, names: Sequence[str], found: Table | None, suffix: str = ""
) -> Iterator[Convergent]:
    """Yield the operation that indexes the fields, unless another index of the table does."""
    columns = [site.column(name) for name in names]
    name = site.name_for(columns, suffix)
    if not _has_another(site, name, found, columns):
        yield _ImpliedIndex(model_name, Index(fields=names, name=name))


def implied_pattern(
    model_name: str, site: Site, field: AnyField, found: Table | None
) -> Iterator[CreateIndexConcurrentlyIfMissing]:
    """Yield the operation for Django's second index of a unique or indexed text, which serves LIKE.

    It serves LIKE whatever the collation of the database.
    """
    operator_class = pattern_class(site, field, found)
    column = site.column(field.name)
    name = site.name_for([column], "_like")
    if operator_class and not _has_another(
        site, name, found, [column], operator_class=operator_class
    ):
        index = Index(fields=[field.name], name=name, opclasses=[operator_class])
        yield _ImpliedPattern(model_name, index)


def pattern_class(site: Site, field: AnyField, found: Table | None) -> str:
    """Return the operator class of the field's index for LIKE; empty if it has none.

    found: the table; if None, a collation of the field is taken for one that allows such an index.
    """
    # Django asks db_type() here, so that a generated column of a third party's text has no such index.
    kind, collation = str(field.db_type(site.connection)), collation_of(site, field)
    is_forbidden = found is not None and collation in found.nondeterministic
    if not is_index_declared(field) or "[" in kind or is_forbidden:
        return ""
    return PATTERNS.get(kind.partition("(")[0], "")


def pattern_column(index: CatalogIndex) -> str | None:
    """Return the column of an index for LIKE, which Django adds to a unique or indexed text, or None."""
    if len(index.keys) != 1 or not index.keys[0][1].endswith("_pattern_ops"):
        return None
    return bare_name(index.keys[0][0]) if index.predicate is None else None


class _OfField(Convergent):
    """A part of a field whose name an index of another field has, because that field had this one's name.

    A mixin. The index of the other field gets the name that Django would give it.
    """

    suffix = ""

    def inspect(self, site: Site, snapshot: Snapshot) -> list[Finding]:
        return super().inspect(site, _as_renamed(snapshot, *self._rename(site, snapshot.found)))

    def plan(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        name, proper = self._rename(site, snapshot.found)
        steps = super().plan(site, _as_renamed(snapshot, name, proper))
        if name == proper:
            return steps
        sql = rename_index(site, name, proper, snapshot.found)
        return [Statement(sql, Lock.NONE, site.table, guards.NEVER), *steps]

    def _rename(self, site: Site, found: Table | None) -> tuple[str, str]:
        """Return the part's name, and the proper one of the index that has it; both are one if it is free."""
        part: Any = vars(self).get("index") or vars(self)["constraint"]
        index = found.index(part.name) if found else None
        if found is None or index is None or len(index.keys) != 1:
            return part.name, part.name
        column, columns = bare_name(index.keys[0][0]), site.columns_of(part.fields)
        is_unique = isinstance(part, UniqueConstraint)
        fields = (each for each in site.model._meta.local_fields if is_index_declared(each))
        others = {each.column for each in fields if each.unique or not is_unique} - set(columns)
        proper = site.name_for([column], self.suffix)
        alike = serving(
            proper,
            found,
            [column],
            unique=is_unique,
            operator_class=next(iter(part.opclasses), ""),
        )
        is_theirs = column in others and index in alike and found.index(proper) is None
        return part.name, proper if is_theirs else part.name


class _ImpliedIndex(_OfField, CreateIndexConcurrentlyIfMissing):
    """A field's index; its printed script, too, accepts an index of any name."""

    def script(self, site: Site) -> list[Statement]:
        columns = [site.column(name) for name in self.index.fields]
        another = guards.has_index_on(site.table, columns, *self.index.opclasses)
        return _unless(another, super().script(site))


class _ImpliedPattern(_ImpliedIndex):
    """A field's index for LIKE; its printed script leaves it out where the collation forbids it."""

    suffix = "_like"

    def script(self, site: Site) -> list[Statement]:
        (name,) = (name for name, _ in self.index.fields_orders)
        collation = collation_of(site, site.field(name))
        steps = super().script(site)
        if collation is None:
            return steps
        return _unless(guards.is_nondeterministic(collation), steps)


class _ImpliedUnique(_OfField, AddUniqueIfMissing):
    """A field's uniqueness; its printed script, too, accepts an index of any name."""

    suffix = "_uniq"

    def script(self, site: Site) -> list[Statement]:
        columns = [site.column(name) for name in self.constraint.fields]
        return _unless(guards.has_unique_on(site.table, columns), super().script(site))


class _ImpliedCheck(AddCheckIfMissing):
    """The check that Django writes into a column's definition, as for a positive number."""

    def __init__(self, model_name: str, site: Site, field: AnyField, check: str) -> None:
        self.column = site.column(field.name)
        table = site.db_table.rpartition(".")[2].strip('"')
        condition = RawSQL(check, (), output_field=BooleanField())  # noqa: S611 - the field's own
        # Its name on the probe, which has the model's own constraints too.
        probed = shortened(f"{table}_{self.column}_implied_check")
        super().__init__(model_name, CheckConstraint(condition=condition, name=probed))
        self.table_name = table
        self.name = self._name_for("check")

    def probe(self, site: Site, found: Table) -> list[str]:
        has_rival = found.column(self.column) and self._rivals(found)
        return [self._ddl(site)] if has_rival else []

    def inspect(self, site: Site, snapshot: Snapshot) -> list[Finding]:
        found = self._found(snapshot)
        if found is None and snapshot.obstacle and snapshot.found and self._rivals(snapshot.found):
            return [
                Finding("check", self._rivals(snapshot.found)[0].name, site.table, Status.EXISTS)
            ]
        if found is None:
            return [Finding("check", self.name, site.table, Status.MISSING)]
        status = Status.EXISTS if found.validated else Status.UNFINISHED
        return [Finding("check", found.name, site.table, status, found.definition)]

    def plan(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        found = self._found(snapshot)
        if found is None:
            table = require_table(self, site, snapshot)
            return self._steps(site, self._free_name(site, table))
        _, validate = self._steps(site, found.name)
        return [] if found.validated else [validate]

    def plan_backwards(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        found = self._found(snapshot)
        return [drop_constraint(site, found.name)] if found else []

    def script(self, site: Site) -> list[Statement]:
        return self._steps(site, self.name)

    def script_backwards(self, site: Site) -> list[Statement]:
        return [drop_constraint(site, self.name)]

    def _rivals(self, found: Table) -> list[Constraint]:
        """Return the table's checks on this column alone, whatever their names."""
        return [
            each
            for each in found.constraints
            if each.kind == "c" and each.columns == (self.column,)
        ]

    def _found(self, snapshot: Snapshot) -> Constraint | None:
        """Return the table's check that has the wanted definition, or None."""
        _, wanted = snapshot.constraints(self.constraint.name)
        rivals = self._rivals(snapshot.found) if snapshot.found and wanted else []
        alike = (each for each in rivals if wanted and _same_number_check(each, wanted))
        return next(alike, None)

    def _free_name(self, site: Site, found: Table) -> str:
        """Return the check's name, numbered as PostgreSQL does where it is taken.

        A name is taken if a constraint of the table or of the model has it.
        """
        taken = {each.name for each in (*found.constraints, *site.model._meta.constraints)}
        numbered = (self._name_for(f"check{number}") for number in count(1))
        return next(each for each in chain([self.name], numbered) if each not in taken)

    def _name_for(self, label: str) -> str:
        """Return the name that PostgreSQL would choose; it shortens the longer of table and column first."""
        table, column = self.table_name.encode(), self.column.encode()
        first, second, room = len(table), len(column), MAX_NAME_BYTES - len(f"__{label}")
        while first + second > room:
            first, second = (first - 1, second) if first > second else (first, second - 1)
        parts = (table[:first].decode(errors="ignore"), column[:second].decode(errors="ignore"))
        return "_".join([*parts, label])

    def _columns(self, site: Site) -> list[str]:
        return [self.column]


def _unless(another: str, steps: Sequence[Statement]) -> list[Statement]:
    """Return the steps of a script, of which the second builds, unless another index meets the condition."""
    refuse, build, *rest = steps
    return [refuse, replace(build, unless=guards.either(build.unless, another)), *rest]


def _same_number_check(found: Constraint, wanted: Constraint) -> bool:
    """Return whether two checks are equal, with or without the casts of numbers in the found one.

    PostgreSQL writes such casts into a check when the type of its column changes.
    """
    bare = replace(found, definition=_NUMBER_CAST.sub(r"\1", found.definition))
    return same_check(found, wanted) or same_check(bare, wanted)


def _has_another(  # noqa: PLR0913 - the table, the wanted index and what may serve
    site: Site,
    name: str,
    found: Table | None,
    columns: Sequence[str],
    *,
    unique: bool = False,
    operator_class: str = "",
    in_table: bool = False,
) -> bool:
    """Return whether another index serves, if the table has none of that name on these columns.

    An index of that name on other columns is that of a field that had the name of this one before. One that
    another part of the model declares goes with that part, and so serves nothing else.
    """
    if found is None:
        return False
    meta, wanted = site.model._meta, sorted(columns)
    declared = {part.name for part in meta.indexes}
    declared |= set() if in_table else {part.name for part in meta.constraints}
    is_unique_together = any(
        sorted(map(site.column, names)) == wanted for names in meta.unique_together
    )
    others = serving(name, found, columns, unique=unique, operator_class=operator_class)
    return any(
        index.name not in (name, *declared)
        and not (index.unique and not unique and is_unique_together)
        for index in others
    )


def _as_renamed(snapshot: Snapshot, name: str, proper: str) -> Snapshot:
    """Return the snapshot in which the index of that name, and its constraint, have the proper one."""
    found = snapshot.found
    if found is None or name == proper:
        return snapshot
    return replace(snapshot, found=with_renamed_index(found, name, proper))


def serving(
    name: str,
    found: Table,
    columns: Sequence[str],
    *,
    unique: bool = False,
    operator_class: str = "",
) -> list[CatalogIndex]:
    """Return the table's indexes that serve in the place of the implied one of that name on the columns.

    If the table has one of that name on these columns, it is the only one. Otherwise they are valid B-trees
    without a condition, on exactly these columns, for a uniqueness in any order, ascending, in their
    collation and with the operator class; if none is given, with any class but those for patterns.
    """
    named = found.index(name)
    if named is not None and _is_on(named, columns):
        return [named]

    def serves(index: CatalogIndex) -> bool:
        constraint = found.constraint(index.constraint or "")
        is_immediate = constraint is None or not constraint.deferral
        return (
            index.valid
            and index.method == "btree"
            and index.predicate is None
            and ((index.unique and is_immediate) or not unique)
            and _is_on(index, columns, in_order=not unique)
            and all(_is_key(key, found, operator_class) for key in index.keys)
        )

    return [index for index in found.indexes if serves(index)]


def _is_on(index: CatalogIndex, columns: Sequence[str], *, in_order: bool = True) -> bool:
    """Return whether the keys of the index are these columns, whatever else it is."""
    keys = [bare_name(key[0]) for key in index.keys]
    return keys == list(columns) if in_order else sorted(keys) == sorted(columns)


def is_index_declared(field: AnyField) -> bool:
    """Return whether the field, which may be a primary key, asks for an index."""
    return bool(field.unique or getattr(field, "db_index", False))


def _is_key(key: tuple[str, ...], found: Table, operator_class: str) -> bool:
    """Return whether an index key is a plain column, ascending, in its collation and the operator class."""
    expression, its_class, collation, order, *_ = key
    column = found.column(bare_name(expression))
    is_class = (
        its_class == operator_class if operator_class else not its_class.endswith("_pattern_ops")
    )
    is_collated = column is not None and collation in (None, column.collation or '"default"')
    return column is not None and is_class and is_collated and order == "0"


def bare_name(name: str) -> str:
    """Return the column that the key of an index names, without its quotes."""
    return name[1:-1].replace('""', '"') if name.startswith('"') else name
