"""AlterColumnTypeIfDifferent."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any, Self

from django.db import DatabaseError
from django.db.migrations.operations.fields import AlterField
from django.db.migrations.state import ProjectState
from django.db.models import Field, ForeignKey

from . import pattern_index
from .alteration import Alteration
from .base import Convergent
from .catalog.probes import rewrites_rows
from .catalog.tables import Column, Table
from .components import guards
from .components.columns import (
    add_field_ddl,
    as_column,
    bare_field,
    cast_to_compare,
    collate_clause,
    compare_column,
    compare_existence,
    gains_index,
    probe_column,
    require_no_other_change,
    same_column,
    same_type,
    type_of,
    with_default,
)
from .components.defaults import as_declared, same_default
from .components.foreign_keys import has_db_constraint, referenced
from .components.old_code import default_in_expand
from .errors import Refused, is_impossible, one_line
from .findings import Finding, Snapshot, Status
from .implied import implied_later
from .names import NAME, PROBE
from .refusals import keep, require_column, require_rows
from .set_not_null import SetNotNullIfNullable
from .site import AnyField, Site
from .statements import Lock, Statement

_BEFORE = f"{NAME}_before"  # the column of the former definition, on the probe


class AlterColumnTypeIfDifferent(Convergent, AlterField):
    """Change a column to the declared type, if it still has the type that it had before the migration.

    A column of a third type stops the run. The same statement changes the collation and the default, and
    allows NULL if the field newly does. An index, uniqueness or check that the field gains is built
    afterwards, as by its own operation. The index for LIKE of an indexed text is dropped, or replaced by that
    of the new type, as Django does. The columns of foreign keys to the field get the new type last. A killed
    run leaves the column as it was or as declared, and some of these further steps done; the next run
    continues there.

    A change that PostgreSQL makes in the catalog alone, as to a longer varchar, takes an instant. A change
    that rewrites the table under ACCESS EXCLUSIVE is refused unless the table is empty or allow_rewrite is
    given. In both cases a value that would not survive the conversion to the new type and back stops the
    run with nothing changed.

    Backwards restores the former type if the table is empty, if no rewrite is needed or if allow_rewrite is
    given; otherwise the type is kept, and a warning says so. A column that was NOT NULL becomes NOT NULL
    again by way of a check, as with SetNotNullIfNullable.

    model_name, name, field, preserve_default: as for Django's AlterField.
    using: an SQL expression for the new value, if a cast does not give it; the values are then not
        checked.
    allow_rewrite: rewrite a table with rows, although nobody can read or write it meanwhile.
    keep_on_reverse: backwards leaves the column of a table with rows as it is.
    altered_later: a later migration alters the column again, so any definition but the former one is
        accepted.
    """

    component = "type"
    alteration_turn = 1

    needs_state = True
    follows = False  # whether the column is that of a foreign key to an altered field

    def __init__(  # noqa: PLR0913 - AlterField's arguments and four more
        self,
        model_name: str,
        name: str,
        field: AnyField,
        preserve_default: bool = True,
        *,
        using: str = "",
        allow_rewrite: bool = False,
        keep_on_reverse: bool = False,
        altered_later: bool = False,
    ) -> None:
        super().__init__(model_name, name, field, preserve_default)
        self.using = using
        self.allow_rewrite = allow_rewrite
        self.keep_on_reverse = keep_on_reverse
        self.altered_later = altered_later

    @classmethod
    def from_alteration(cls, alteration: Alteration) -> Self | None:
        if not alteration.changes_column:
            return None
        changes: dict[str, Any] = {"null": True} if alteration.becomes_not_null else {}
        changes |= {"db_constraint": False} if alteration.becomes_foreign_key else {}
        is_last = not (alteration.becomes_foreign_key or alteration.becomes_not_null)
        return cls(*alteration.arguments(is_last=is_last, **changes))

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        name, args, kwargs = super().deconstruct()
        for argument in ("using", "allow_rewrite", "keep_on_reverse", "altered_later"):
            if getattr(self, argument):
                kwargs[argument] = getattr(self, argument)
        return name, list(args), kwargs

    def describe(self) -> str:
        return f"Alter type of {self.name} on {self.model_name} if different"

    def targets(self, site: Site) -> list[tuple[Convergent, Site]]:
        """Return the operation itself, then one for each foreign key to the field, which takes its type.

        In front stands what the way back ends with.
        """
        then, fields = self._then(site), (self._former(site), site.field(self.name))
        last = [(each, then) for each in pattern_index.of_partitions(then, *fields)]
        return [*last, (self, site), *self._followers(site)]

    def names(self, site: Site) -> list[str]:
        return [name for part in self._parts(site, None) for name in part.names(site)]

    def declared(self, site: Site) -> list[AnyField]:
        return [site.field(self.name), self._former(site)]

    def probe(self, site: Site, found: Table) -> list[str]:
        field = site.field(self.name)
        former = bare_field(site, self._former(site))
        former.column, former.primary_key = _BEFORE, False  # a table has only one
        ddl = probe_column(site, field, found, add_field_ddl(site, field))
        if not ddl:
            return []
        column = found.column(site.column(self.name))
        ddl += with_default(former, column, add_field_ddl(site, former))
        for part in self._parts(site, found):
            ddl += part.probe(site, found)
        return ddl

    def with_row_facts(self, site: Site, snapshot: Snapshot, *, forwards: bool) -> Snapshot:
        found, wanted, former = self._columns(site, snapshot)
        target = wanted if forwards else former
        if snapshot.found is None or found is None or target is None or same_type(found, target):
            return snapshot
        require_rows(self, site, snapshot.found)
        column = site.quote(site.column(self.name))
        using = self.using if forwards else ""
        # The probe has the columns as found; the default is left out, because it may not cast by itself.
        ddl = [f"ALTER TABLE {PROBE} ALTER COLUMN {column} {self._type(column, target, using)}"]
        try:
            rewrites, is_filled = rewrites_rows(site.connection, snapshot.found, ddl, PROBE)
        except DatabaseError as error:
            if not is_impossible(error):
                raise
            return replace(snapshot, failure=one_line(error))
        return replace(snapshot, has_rows=is_filled, rewrites=rewrites)

    def inspect(self, site: Site, snapshot: Snapshot) -> list[Finding]:
        field = site.field(self.name)
        finding = compare_column(site, field, snapshot.found, snapshot.wanted)
        is_unknown = snapshot.found is not None and type_of(site, field) in snapshot.found.unknown
        found, _, former = self._columns(site, snapshot)
        is_former = found is not None and former is not None and same_column(found, former)
        if finding.status is Status.DIFFERENT and (is_former or is_unknown):
            finding = replace(finding, status=Status.MISSING, fix="")
        elif self.altered_later:
            finding = compare_existence(site, field, snapshot.found)
        findings = [replace(finding, component="type")]
        for part in self._parts(site, snapshot.found):
            findings += (
                each if part.stops_at(each) else _as_missing(each)
                for each in part.inspect(site, snapshot)
            )
        return findings

    def plan(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        require_no_other_change(self, site, self._former(site), site.field(self.name))
        name = site.column(self.name)
        table, column = require_column(self, site, snapshot, name)
        if type_of(site, site.field(self.name)) in table.unknown:
            raise Refused(
                self.describe(),
                site.table,
                f"there is no type {type_of(site, site.field(self.name))}",
                "create it before (CreateEnumIfMissing, CREATE EXTENSION ...)",
            )
        if snapshot.failure:
            raise Refused(
                self.describe(),
                site.table,
                f"PostgreSQL cannot convert {self.name}: {snapshot.failure}",
                "give using=..., an SQL expression for the new value",
            )
        _, wanted, former = self._columns(site, snapshot)
        is_altered = self.altered_later and former is not None and not same_column(column, former)
        is_same = wanted is None or same_column(column, wanted) or is_altered
        steps: list[Statement] = []
        if wanted is not None and former is not None and not is_same:
            if snapshot.rewrites and snapshot.has_rows and not self.allow_rewrite:
                raise Refused(
                    self.describe(),
                    site.table,
                    f"the new type of {self.name} rewrites table {site.table} while nobody can read it",
                    "add a new column and fill it with BackfillInBatches, or insist: allow_rewrite=True",
                )
            if wanted.not_null and not column.not_null:
                raise Refused(
                    self.describe(),
                    site.table,
                    f"{self.name} is nullable, and its declaration is not",
                    "make it not null by SetNotNullIfNullable, in an operation of its own",
                )
            fields, remakes = (site.field(self.name), self._former(site)), not self.follows
            going = pattern_index.drops(site, *fields, table, remakes=remakes)
            steps = self._convert(site, column, wanted, former, first=going, using=self.using)
        parts = self._parts(site, table)
        return [*steps, *(each for part in parts for each in part.plan(site, snapshot))]

    def plan_backwards(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        name = site.column(self.name)
        found, wanted, former = self._columns(site, snapshot)
        if found is None or wanted is None or former is None:
            return []
        parts = [
            each
            for part in implied_later(self.model_name, self.name, site, snapshot.found)
            for each in part.plan_backwards(site, snapshot)
        ]
        if found.type not in (wanted.type, former.type):
            keep(self, f"column {name}", f"it is {found.type}, not the declared {wanted.type}")
            return []
        if snapshot.failure:
            keep(
                self, f"column {name}", f"there is no way back to {former.type}: {snapshot.failure}"
            )
            return []
        if snapshot.has_rows and (
            self.keep_on_reverse or (snapshot.rewrites and not self.allow_rewrite)
        ):
            keep(self, f"column {name}", f"the table has rows; its type is still {found.type}")
            return []
        table, _ = require_column(self, site, snapshot, name)
        fields, then = (self._former(site), site.field(self.name)), self._then(site)
        going = pattern_index.drops(then, *fields, table, remakes=True)
        steps = [*parts, *self._convert(site, found, former, wanted, first=going)]
        if former.not_null and not wanted.not_null:
            closing, before = self._closing(site)
            steps += closing.remaining(before, table, found)
        return [*steps, *pattern_index.restored(self.model_name, then, *fields, table)]

    def script(self, site: Site) -> list[Statement]:
        former, declared = self._former(site), site.field(self.name)
        require_no_other_change(self, site, former, declared)
        parts = [each for part in self._parts(site, None) for each in part.script(site)]
        return [*self._guarded(site, former, declared, self.using), *parts]

    def script_backwards(self, site: Site) -> list[Statement]:
        if self.keep_on_reverse:
            return []
        former, declared = self._former(site), site.field(self.name)
        gained = implied_later(self.model_name, self.name, site, None)
        parts = [each for part in gained for each in part.script_backwards(site)]
        steps = [*parts, *self._guarded(site, declared, former)]
        if declared.null and not former.null:
            closing, before = self._closing(site)
            steps += closing.script(before)
        then = self._then(site)
        return [*steps, *pattern_index.restored(self.model_name, then, former, declared, None)]

    def waits_for(self, site: Site) -> set[tuple[str, str]]:
        kind = type_of(site, site.field(self.name)).strip('"')
        return {(site.table, site.column(self.name)), ("", kind)}

    def needs_autocommit(self, app_label: str, before: ProjectState) -> bool:
        """Return whether the field gains an index or one for LIKE anew, which is built concurrently."""
        former: Any = before.models[app_label, self.model_name_lower].fields.get(self.name)
        return gains_index(former, self.field) or pattern_index.is_built(former, self.field)

    def _closing(self, site: Site) -> tuple[SetNotNullIfNullable, Site]:
        """Return the operation that makes the column NOT NULL again, for going backwards, and its site."""
        assert site.before is not None  # noqa: S101 - as in _former
        closing = SetNotNullIfNullable(self.model_name, self.name, self._former(site))
        return closing, self._then(site)

    def _then(self, site: Site) -> Site:
        """Return the site with the model as it was before the migration."""
        assert site.before is not None  # noqa: S101 - as in _former
        return replace(site, model=site.before, before=None)

    def _followers(self, site: Site) -> Iterator[tuple[Convergent, Site]]:
        """Yield the operation for each foreign key to the field, and for the keys to those in turn."""
        meta: Any = site.model._meta
        apps = site.apps_before
        former, declared = self._former(site), site.field(self.name)
        if apps is None or _kind(site, former) == _kind(site, declared):
            return
        for relation in meta._get_fields(forward=False, reverse=True, include_hidden=True):
            field, model = relation.field, relation.field.model
            is_reference = isinstance(field, ForeignKey) and field.target_field.name == self.name
            if not is_reference or not model._meta.can_migrate(site.connection):
                continue
            key = (model._meta.app_label, model._meta.model_name)
            follower = AlterColumnTypeIfDifferent(
                key[1],
                field.name,
                field,
                allow_rewrite=self.allow_rewrite,
                keep_on_reverse=self.keep_on_reverse,
                altered_later=self.altered_later,
            )
            other_site = Site(
                site.connection, model, model._meta.db_table, apps.get_model(*key), apps
            )
            yield from follower.altered(follows=True).targets(other_site)

    def _parts(self, site: Site, found: Table | None) -> Iterator[Convergent]:
        """Yield the operations for the index, uniqueness or check that the field gains."""
        yield from implied_later(self.model_name, self.name, site, found)
        if not self.follows:  # as Django, which makes none anew for a foreign key
            fields = self._former(site), site.field(self.name)
            yield from pattern_index.remade(self.model_name, site, *fields, found)

    def _columns(
        self, site: Site, snapshot: Snapshot
    ) -> tuple[Column | None, Column | None, Column | None]:
        """Return the column as found, as wanted, and as it was before the migration.

        A default that plain SQL set, and that the field has in Python, goes along with the type; one that the
        field declared, and does not any more, goes away.
        """
        found, wanted = snapshot.columns(site.column(self.name))
        _, former = snapshot.columns(_BEFORE)
        if found is None or wanted is None or former is None:
            return found, wanted, former
        field, past = site.field(self.name), self._former(site)
        after = as_declared(field, found, wanted, past)
        before = as_declared(past, found, former, field)
        is_of_python = not (field.has_db_default() or past.has_db_default())
        if is_of_python and (after.default is None) is not (before.default is None):
            after = wanted if after.default is None else after
            before = former if before.default is None else before
        return found, after, before

    def _former(self, site: Site) -> AnyField:
        """Return the field as it was before the migration."""
        assert site.before is not None  # noqa: S101 - AlterField's state needs the field before it
        field = site.before._meta.get_field(self.name)
        assert isinstance(field, Field)  # noqa: S101 - narrows, as Site.field does
        return field

    def _guarded(
        self, site: Site, old: AnyField, new: AnyField, using: str = ""
    ) -> list[Statement]:
        """Return the steps of a printed script, which do nothing if the column has the new type already.

        PostgreSQL compares the types when the script runs, so their spelling does not matter.
        """
        before, after = as_column(site, old), as_column(site, new)
        going = pattern_index.drops(site, new, old, None, remakes=False)
        steps = self._convert(site, before, after, before, using=using, first=going)
        if same_type(before, after):
            return steps
        kind = f"{after.type}{collate_clause(after)}"
        guard = partial(guards.unless_of_type, site.table, before.name, kind)
        return [replace(step, sql=guard(step.sql), bare=step.sql) for step in steps]

    def _convert(  # noqa: PLR0913 - what the one statement depends on
        self,
        site: Site,
        found: Column,
        target: Column,
        other: Column,
        *,
        first: str,
        using: str = "",
    ) -> list[Statement]:
        """Return the one statement that changes the column to the target, or nothing if they are equal.

        other: the column whose type each value is cast back to; a value that does not come back unchanged
            raises.
        first: SQL to run before a change of the type, in the same transaction.
        using: an SQL expression for the new value; the values are then not checked.
        """
        column = site.quote(found.name)
        is_type_kept = same_type(found, target)
        # A default may not cast by itself, so it is dropped before the type changes and set again after.
        # That of a sequence belongs to its column and stays.
        is_default_kept = found.numbered or (is_type_kept and same_default(found, target))
        changes = ["DROP NOT NULL"] if found.not_null and not target.not_null else []
        if found.default is not None and not is_default_kept:
            changes.append("DROP DEFAULT")
        if not is_type_kept:
            changes.append(self._type(column, target, using))
        default = default_in_expand(site, found, target)
        if default is not None and not is_default_kept:
            changes.append(f"SET DEFAULT {default}")
        if not changes:
            return []
        sql = f"{'' if is_type_kept else first}ALTER TABLE {site.table} "
        sql += ", ".join(f"ALTER COLUMN {column} {change}" for change in changes)
        if not is_type_kept and not using:
            cast = cast_to_compare(found.type, target.type)
            back = f"({column}::{target.type})::{other.type}"
            lossy = f"({back}){cast} IS DISTINCT FROM {column}{cast}"
            refusal = guards.refusal_if_any(
                site.table, lossy, f"values of {column} do not survive as {target.type}"
            )
            # The lock comes first, so that no value is written between the test and the conversion.
            sql = f"LOCK TABLE {site.table} IN ACCESS EXCLUSIVE MODE; {refusal}; {sql}"
        if not is_type_kept and found.numbered and found.default is not None:
            sql += f"; {guards.alter_serial(site.table, found.name, target.type)}"
        also = () if is_type_kept else self._linked(site)
        return [Statement(sql, Lock.ACCESS_EXCLUSIVE, site.table, guards.NEVER, also)]

    def _linked(self, site: Site) -> tuple[str, ...]:
        """Return the tables at the other end of the column's foreign keys.

        PostgreSQL locks them too, because it rebuilds the constraints for the new type.
        """
        relations = site.model._meta.related_objects
        referring = (
            site.quote(each.related_model._meta.db_table)
            for each in relations
            if has_db_constraint(each.field) and each.field.target_field.name == self.name
        )
        return tuple(dict.fromkeys([*referenced(site, [site.field(self.name)]), *referring]))

    def _type(self, column: str, target: Column, using: str = "") -> str:
        return f"TYPE {target.type}{collate_clause(target)} USING {using or f'{column}::{target.type}'}"


def _as_missing(finding: Finding) -> Finding:
    """Return the finding on a part that is to be made anew as one on a part that is missing."""
    missing = replace(finding, status=Status.MISSING, fix="", replaceable=False)
    return missing if finding.status is Status.DIFFERENT else finding


def _kind(site: Site, field: AnyField) -> tuple[str, str | None]:
    """Return the type and the collation; a foreign key has those of the field that it refers to."""
    return type_of(site, field), field.db_parameters(site.connection).get("collation")
