"""CreateTableIfMissing."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Self

from django.db import migrations
from django.db.migrations.operations.base import Operation
from django.db.migrations.operations.models import CreateModel
from django.db.migrations.state import ProjectState
from django.db.models import CheckConstraint, UniqueConstraint
from django.db.models.options import normalize_together

from .add_exclusion import AddExclusionIfMissing
from .base import Convergent
from .catalog.contents import has_rows
from .catalog.tables import Table
from .components import guards
from .components.columns import (
    add_field_ddl,
    compare_column,
    compare_existence,
    db_type,
    probe_column,
    prove_not_null,
    refuse_new_columns,
    with_new_column_facts,
)
from .components.foreign_keys import (
    compare_foreign_key,
    has_db_constraint,
    plan_foreign_key,
    referenced,
    require_target,
    script_foreign_key,
    target_table,
)
from .components.primary_key import primary_key_ddl
from .create_index import CreateIndexConcurrentlyIfMissing
from .declared_constraint import operation_of
from .errors import Refused
from .findings import ComparedPart, Finding, Snapshot, Source, Status
from .further_back import missing_table, own_or_behind
from .implied import implied, implied_index, implied_unique, own_constraints
from .names import IN_NAMES, is_cut, why_unusable
from .refusals import keep, require_name, require_rows
from .site import AnyField, Site
from .statements import Lock, Statement

_TABLES = ("r", "p")  # ordinary and partitioned


class CreateTableIfMissing(Convergent, CreateModel):
    """Create a table, or add the declared parts that an existing one lacks.

    A new table is created with all its parts in one transaction. In an existing table each column, foreign
    key, constraint and index is compared and built as by its own operation; undeclared parts stay. A killed
    run leaves no table, or the parts that were done; the next run builds the rest. Backwards drops the table
    if it is empty, and raises Refused if it has rows.

    name, fields, options, bases, managers: as for Django's CreateModel.
    altered_later: names of fields that later migrations alter, and of constraints that they remove; of an
        existing table it is enough here that the columns exist.
    keep_on_reverse: backwards keeps a table with rows instead of refusing.
    """

    component = "table"
    stands_for = (migrations.CreateModel,)

    is_indifferent = True
    with_rows = False  # whether backwards drops the table with its rows
    absorbed: frozenset[tuple[str, str]] = frozenset()  # kind and name of what reduce() merged
    postponed: frozenset[str] = frozenset()  # quoted tables, created later, whose foreign keys wait
    # The operations that declared indexes and constraints, by name; without one, a plain operation is made.
    declared_by: Mapping[str, Convergent] = {}

    def __init__(  # noqa: PLR0913 - CreateModel's arguments and two more
        self,
        name: str,
        fields: Sequence[tuple[str, AnyField]],
        options: dict[str, Any] | None = None,
        bases: Sequence[Any] | None = None,
        managers: Sequence[Any] | None = None,
        *,
        altered_later: Sequence[str] = (),
        keep_on_reverse: bool = False,
    ) -> None:
        constraints = [each.name for each in (options or {}).get("constraints", ())]
        for changed in altered_later:
            if changed not in (*dict(fields), *constraints):
                raise ValueError(
                    f"altered_later names {changed!r}, which is not among the fields and constraints"
                )
        for kind in ("indexes", "constraints"):
            for part in (options or {}).get(kind, ()):
                require_name(part.name)
        super().__init__(name, fields, options, bases, managers)  # type: ignore[arg-type]
        self.altered_later = tuple(altered_later)
        self.keep_on_reverse = keep_on_reverse

    @classmethod
    def from_stock(cls, operation: Any, before: ProjectState, app_label: str) -> Self | str | None:
        made = operation
        return cls(made.name, made.fields, dict(made.options), made.bases, made.managers)

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        name, args, kwargs = super().deconstruct()
        if self.altered_later:
            kwargs = {**kwargs, "altered_later": self.altered_later}
        if self.keep_on_reverse:
            kwargs = {**kwargs, "keep_on_reverse": True}
        return name, list(args), dict(kwargs)

    def describe(self) -> str:
        return f"Create table of {self.name} if missing"

    def reduce(self, operation: Operation, app_label: str) -> bool | list[Operation]:
        """Merge an operation that only adds to the table, and take the part out again if it is removed.

        What alters the table is not merged, because it must find the table as it was before.
        """
        absorbed = self._absorb(operation)
        return super().reduce(operation, app_label) if absorbed is None else [absorbed]

    def targets(self, site: Site) -> Sequence[tuple[Convergent, Site]]:
        """Return the operation itself, followed by those for the tables of its ManyToManyFields."""
        tables: list[tuple[Convergent, Site]] = [(self, site)]
        for field in site.model._meta.local_many_to_many:
            tables += through_table(site, field, keep_on_reverse=self.keep_on_reverse)
        return tables

    def names(self, site: Site) -> list[str]:
        return [name for part in self._parts(site, None) for name in part.names(site)]

    def declared(self, site: Site) -> list[AnyField]:
        return list(self._fields(site).values())

    def accepts(self, site: Site, found: Table) -> bool:
        """Return whether the table is where CREATE TABLE would put it, or the records of migrations are."""
        return own_or_behind(site, site.table, found)[0] is not None

    def probe(self, site: Site, found: Table) -> list[str]:
        ddl: list[str] = []
        for field in self.declared(site):
            if field.name not in self.altered_later:
                ddl += probe_column(site, field, found, add_field_ddl(site, field))
        for part in self._parts(site, found):
            ddl += part.probe(site, found)
        return ddl

    def with_row_facts(self, site: Site, snapshot: Snapshot, *, forwards: bool) -> Snapshot:
        found = snapshot.found
        if found is None:
            return snapshot
        if not forwards:
            require_rows(self, site, found)
            return replace(snapshot, has_rows=has_rows(site.connection, found))
        with site.on_probe():
            added = [
                (field, add_field_ddl(site, field)) for field in self._missing(site, found).values()
            ]
        parts = self._parts(site, found)
        if any(
            isinstance(part, AddExclusionIfMissing) and part.is_missing(found) for part in parts
        ):
            require_rows(self, site, found)
            snapshot = replace(snapshot, has_rows=has_rows(site.connection, found))
        return with_new_column_facts(self, site, snapshot, added)

    def inspect(self, site: Site, snapshot: Snapshot) -> list[Finding]:
        found = snapshot.found
        if found is None:
            return missing_table(site, snapshot)
        findings = [self._compare_table(site, found)]
        if findings[0].status is Status.DIFFERENT:
            return findings
        return [*findings, *(part.finding for part in self.compared_parts(site, snapshot))]

    def plan(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        found = snapshot.found
        if found is None:
            return [self._create(site)]
        for field in self._referencing(site):
            require_target(self, site, field, found)
        missing = self._missing(site, found)
        instead = "add it by AddColumnIfMissing with allow_rewrite=True, or fill it in batches"
        refuse_new_columns(self, site, snapshot, list(missing.values()), instead)
        statements = [self._add(site, column, field) for column, field in missing.items()]
        for part in self._parts(site, found):
            statements += part.plan(replace(site, coming=frozenset(missing)), snapshot)
        for column in self._fields(site):
            statements += prove_not_null(site, found.column(column))
        for field in self._referencing(site):
            statements += plan_foreign_key(site, field, found)
        return statements

    def plan_backwards(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        if snapshot.found is None:
            return []
        if snapshot.found.kind not in _TABLES:
            keep(self, f"the relation {site.table}", "it is no table")
            return []
        if snapshot.has_rows and self.keep_on_reverse:
            keep(self, f"table {site.table}", "it has rows")
            return []
        if snapshot.has_rows and not self.with_rows:
            raise Refused(
                f"{self.describe()}, backwards",
                site.table,
                f"table {site.table} has rows, and going back would drop them",
                "empty the table first, or leave it and record the step with migrate --fake",
            )
        return self.script_backwards(site)

    def script(self, site: Site) -> list[Statement]:
        fields = self._fields(site)
        statements = [self._create(site)]
        statements += [self._add(site, column, field) for column, field in fields.items()]
        for part in self._parts(site, None):
            statements += part.script(site)
        for field in filter(has_db_constraint, fields.values()):
            statements += script_foreign_key(site, field)
        return statements

    def script_backwards(self, site: Site) -> list[Statement]:
        refusal = guards.refusal_unless_empty(site.table, f"table {site.table} has rows")
        drop = f"DROP TABLE {site.table}"
        sql = drop if self.with_rows else f"{refusal}; {drop}"
        guard = guards.negated(guards.has_table(site.table))
        also = referenced(site, self._fields(site).values())
        return [Statement(sql, Lock.ACCESS_EXCLUSIVE, site.table, guard, also, bare=drop)]

    def plain_script(self, site: Site, *, forwards: bool) -> list[Statement]:
        return [self._create(site)] if forwards else self.script_backwards(site)

    def compared_parts(self, site: Site, snapshot: Snapshot) -> Iterator[ComparedPart]:
        """Yield the finding on each part of an existing table: its columns and keys, then the other parts."""
        found, wanted = snapshot.found, snapshot.wanted
        if found is None:
            return
        for field in self.declared(site):
            source = Source("field", field.name)
            column = (
                compare_existence(site, field, found)
                if field.name in self.altered_later
                else compare_column(site, field, found, wanted)
            )
            yield ComparedPart(source, field, column)
            if has_db_constraint(field):
                yield ComparedPart(source, field, compare_foreign_key(site, field, found))
        for source, part in self.sources(site, found):
            for finding in part.inspect(site, snapshot):
                yield ComparedPart(source, part, finding)

    def sources(self, site: Site, found: Table | None) -> Iterator[tuple[Source, Convergent]]:
        """Yield the source in the model and the operation of each declared constraint and index."""
        meta = site.model._meta
        lasting = [each for each in meta.constraints if each.name not in self.altered_later]
        for constraint in own_constraints(lasting, found):
            operation = self.declared_by.get(constraint.name) or operation_of(self.name, constraint)
            yield Source("constraint", constraint.name), operation
        for index in meta.indexes:
            plain = CreateIndexConcurrentlyIfMissing(self.name, index)
            yield Source("index", index.name), self.declared_by.get(index.name, plain)
        for names in sorted(self._index_together):
            for part in implied_index(self.name, site, names, found, "_idx"):
                yield Source("index_together", tuple(names)), part
        fields = self._fields(site).values()
        alone = {(field.name,) for field in fields if field.unique}
        for names in meta.unique_together:
            if tuple(names) not in alone:
                for part in implied_unique(self.name, site, names, found, in_table=True):
                    yield Source("unique_together", tuple(names)), part
        for field in fields:
            for part in implied(self.name, site, field, found, in_table=True):
                yield Source("field", field.name), part

    def knowing_altered(self, altered: Collection[tuple[str, str]]) -> Self:
        later = [name for name, _ in self.fields if (self.name_lower, name.lower()) in altered]
        flag = tuple(dict.fromkeys([*self.altered_later, *later]))
        return self if flag == self.altered_later else self.altered(altered_later=flag)

    def postponing(self, tables: frozenset[str]) -> Self:
        return self.altered(postponed=tables)

    def postponed_script(self, site: Site) -> list[Statement]:
        fields = filter(has_db_constraint, self.declared(site))
        waiting = [field for field in fields if target_table(site, field) in self.postponed]
        return [step for field in waiting for step in script_foreign_key(site, field)]

    def _absorb(self, operation: Operation) -> "CreateTableIfMissing | None":
        name = getattr(operation, "model_name", None) or getattr(operation, "name", "")
        if str(name).lower() != self.name_lower or not _is_plain(operation):
            return None
        if getattr(operation, "limits", self.limits) != self.limits:
            return None
        fields, options = list(self.fields), dict(self.options)
        altered_later, absorbed = self.altered_later, self.absorbed
        if isinstance(operation, migrations.AddField):
            if operation.name_lower in (known.lower() for known, _ in fields):
                return None  # the RemoveField of that field, in between, is not merged yet
            fields.append((operation.name, operation.field))
            absorbed |= {("fields", operation.name_lower)}
            if getattr(operation, "altered_later", False):
                altered_later += (operation.name,)
        elif isinstance(operation, migrations.AddIndex):
            options["indexes"] = [*options.get("indexes", []), operation.index]
            absorbed |= {("indexes", operation.index.name)}
        elif isinstance(operation, migrations.AddConstraint) and isinstance(
            operation.constraint, CheckConstraint | UniqueConstraint
        ):
            options["constraints"] = [*options.get("constraints", []), operation.constraint]
            absorbed |= {("constraints", operation.constraint.name)}
        elif (subject := _removed(operation)) in absorbed:
            kind, gone = subject
            absorbed -= {subject}
            if kind == "fields":
                fields = [(known, field) for known, field in fields if known.lower() != gone]
                altered_later = tuple(known for known in altered_later if known.lower() != gone)
            else:
                options[kind] = [each for each in options[kind] if each.name != gone]
        else:
            return None
        merged = CreateTableIfMissing(
            self.name,
            fields,
            options,
            self.bases,
            self.managers,
            altered_later=altered_later,
            keep_on_reverse=self.keep_on_reverse,
            **self.limits,
        )
        return merged.altered(absorbed=absorbed)

    def _add(self, site: Site, column: str, field: AnyField) -> Statement:
        guard = guards.has_column(site.table, column)
        sql = "; ".join(add_field_ddl(site, field))
        return Statement(sql, Lock.ACCESS_EXCLUSIVE, site.table, guard)

    def _create(self, site: Site) -> Statement:
        def act(editor: Any) -> None:
            create_model = editor.create_model
            editor.create_model = lambda _: None  # a through table has an operation of its own
            with self._without_postponed(site):
                create_model(site.model)
            editor.alter_index_together(site.model, set(), self._index_together)

        ddl = site.ddl(act)
        # Nobody else can lock the new table; a foreign key locks the table that it refers to.
        others = referenced(site, self._referencing(site))
        lock = Lock.SHARE_ROW_EXCLUSIVE if others else Lock.NONE
        table, *also = others or [site.table]
        sql = "; ".join([*ddl.now, *ddl.deferred])
        return Statement(sql, lock, table, guards.has_table(site.table), also=tuple(also))

    def _fields(self, site: Site) -> dict[str, AnyField]:
        """Return the fields by column; generated columns come last, because they read the others."""
        fields = sorted(site.model._meta.local_fields, key=lambda field: field.generated)
        return {field.column: field for field in fields if field.column and db_type(site, field)}

    def _referencing(self, site: Site) -> list[AnyField]:
        """Return the fields whose foreign keys can be made now."""
        fields = filter(has_db_constraint, self._fields(site).values())
        return [field for field in fields if target_table(site, field) not in self.postponed]

    @contextmanager
    def _without_postponed(self, site: Site) -> Iterator[None]:
        """Leave out, within the block, the foreign keys to tables that are created later."""
        fields: list[Any] = list(filter(has_db_constraint, self._fields(site).values()))
        waiting = [field for field in fields if target_table(site, field) in self.postponed]
        for field in waiting:
            field.db_constraint = False
        try:
            yield
        finally:
            for field in waiting:
                field.db_constraint = True

    def _missing(self, site: Site, found: Table) -> dict[str, AnyField]:
        fields = self._fields(site).items()
        return {column: field for column, field in fields if found.column(column) is None}

    @property
    def _index_together(self) -> set[tuple[str, ...]]:
        """Return index_together, which old migrations declare and models no longer can."""
        return set(normalize_together(self.options.get("index_together", ())))

    def _compare_table(self, site: Site, found: Table) -> Finding:
        wanted = tuple(site.column(field.name) for field in site.model._meta.pk_fields)
        primary = next((each for each in found.constraints if each.kind == "p"), None)
        name = site.model._meta.db_table
        fix = f"rename it (ALTER TABLE {site.table} RENAME TO ...), or correct it by hand"
        if found.kind not in _TABLES:
            found_text, wanted_text = f"a relation of kind {found.kind!r}", "a table"
        elif wanted and (primary is None or primary.columns != wanted):
            found_text = primary.definition if primary else "no primary key"
            wanted_text = f"PRIMARY KEY ({', '.join(map(site.quote, wanted))})"
            if found.kind == "r" and all(map(found.column, wanted)):
                fix = primary_key_ddl(site, found, primary, wanted)
        else:
            return Finding("table", name, site.table, Status.EXISTS)
        return Finding("table", name, site.table, Status.DIFFERENT, found_text, wanted_text, fix)

    def _parts(self, site: Site, found: Table | None) -> Iterator[Convergent]:
        return (part for _, part in self.sources(site, found))


def _removed(operation: Operation) -> tuple[str, str]:
    """Return the kind and the name of the table's part that the operation removes, if any."""
    match operation:
        case migrations.RemoveField():
            return "fields", operation.name_lower
        case migrations.RemoveIndex():
            return "indexes", operation.name
        case migrations.RemoveConstraint():
            return "constraints", operation.name
    return "", ""


def _is_plain(operation: Operation) -> bool:
    """Return whether the operation asks for nothing that CreateTableIfMissing would not do."""
    part: Any = getattr(operation, "index", None) or getattr(operation, "constraint", None)
    if part and (is_cut(part.name) or why_unusable(part.name, IN_NAMES)):
        return False
    asks = ("leave_existing_null", "allow_rewrite", "fallbacks")
    replaces = getattr(operation, "on_different", "stop") == "replace"
    is_preserved = getattr(operation, "preserve_default", True)
    return is_preserved and not replaces and not any(getattr(operation, ask, None) for ask in asks)


def through_table(
    site: Site, field: Any, *, keep_on_reverse: bool, with_rows: bool = False
) -> list[tuple[Convergent, Site]]:
    """Return the operation that creates the table of a ManyToManyField, and its site.

    Return nothing if the table is that of a model (`through`).

    with_rows: backwards drops the table with its rows, as a column is dropped with its values.
    """
    through = field.remote_field.through
    if not through._meta.auto_created:
        return []
    operation = CreateTableIfMissing(through._meta.object_name, [], keep_on_reverse=keep_on_reverse)
    operation = operation.altered(with_rows=with_rows)
    return [(operation, Site(site.connection, through, through._meta.db_table))]
