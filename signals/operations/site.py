"""The place where an operation works: a model on a connection, with the DDL that Django makes for it."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Field, Model
from django.db.models.constants import LOOKUP_SEP

from .catalog.query import quoted
from .catalog.tables import Table
from .names import PROBE, shortened

if TYPE_CHECKING:
    from django.db.migrations.state import StateApps


# Django's fields take type arguments only in its stubs.
AnyField: TypeAlias = "Field[Any, Any]"


@dataclass(frozen=True, slots=True)
class Ddl:
    """SQL that Django's schema editor would execute, at once and at the end of its block."""

    now: tuple[str, ...]
    deferred: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Site:
    """A model of the migration's state, on a connection.

    model: the model with the operation applied.
    db_table: the name of its table, from which Django derives other names, on the probe too.
    before, apps_before: the model, if it existed, and all models, without the operation.
    options, options_before: those of the model in the states with and without the operation, which may have
        more than a model can, such as index_together.
    migration: the migration's label in a run of `migrate`, else empty.
    limits: those of the operation on whose behalf another one works here.
    coming: the columns that earlier steps of the plan are going to add.
    expands: whether a removal leaves what the release before still uses, and only makes it harmless.
    """

    connection: BaseDatabaseWrapper
    model: type[Model]
    db_table: str
    before: type[Model] | None = None
    apps_before: "StateApps | None" = None
    migration: str = ""
    limits: Mapping[str, float] = field(default_factory=dict, compare=False)
    options: Mapping[str, Any] = field(default_factory=dict, compare=False)
    options_before: Mapping[str, Any] = field(default_factory=dict, compare=False)
    coming: frozenset[str] = frozenset()
    expands: bool = False

    @property
    def table(self) -> str:
        """Return the table's name as SQL, with its schema if db_table has one."""
        return self.quote(self.model._meta.db_table)

    def quote(self, name: str) -> str:
        """Return the name as SQL.

        A db_table may contain a schema, as `"schema"."table"` or as `schema"."table`.
        """
        if name.startswith('"') and name.endswith('"'):
            return name
        return f'"{name}"' if '"."' in name else quoted(name)

    def field(self, name: str) -> AnyField:
        """Return the model's field of that name."""
        meta = self.model._meta
        field = meta.pk if name == "pk" else meta.get_field(name)
        assert isinstance(field, Field)  # noqa: S101 - narrows: no operation names a reverse relation
        return field

    def columns_of(self, names: Iterable[str], expressions: Iterable[Any] = ()) -> list[str]:
        """Return the columns of the named fields, and of those that the expressions refer to, each once."""
        model: Any = self.model
        fields = list(names)
        for expression in expressions:
            if expression is not None:
                fields += [path[0] for path in model._get_expr_references(expression)]
        key = [field.name for field in model._meta.pk_fields]
        heads = [name.split(LOOKUP_SEP)[0] for name in fields]
        own = [name for head in heads for name in (key if head == "pk" else [head])]
        return list(dict.fromkeys(map(self.column, own)))

    def beside_table(self, name: str, found: Table | None = None) -> str:
        """Return the quoted name of a relation in the schema of the table.

        found: the table, if it was found; without it the schema is the one in db_table, if any.
        """
        if found is not None:
            return f"{self.quote(found.schema)}.{self.quote(name)}"
        schema, dot, _ = self.table.rpartition(".")
        return f"{schema}{dot}{self.quote(name)}"

    def editor(self) -> Any:
        """Return a schema editor that collects its SQL; it executes nothing and reads no catalog.

        The type is Any because Django's stubs lack its underscored methods, which make the SQL.
        """
        editor: Any = self.connection.SchemaEditorClass(self.connection, collect_sql=True)
        editor.deferred_sql = []
        # Django writes a foreign key into ADD COLUMN, where it would be validated under ACCESS EXCLUSIVE.
        editor.sql_create_column_inline_fk = None
        return editor

    def turned(self) -> "Site":
        """Return the site of the way back: the model there is the one before the operation."""
        assert self.before is not None  # noqa: S101 - narrows: an alteration has a model before it
        return replace(
            self,
            model=self.before,
            before=self.model,
            options=self.options_before,
            options_before=self.options,
        )

    def column(self, name: str) -> str:
        """Return the column of the field of that name."""
        column = self.field(name).column
        assert column is not None  # noqa: S101 - narrows: fields without a column are refused
        return column

    def name_for(self, columns: Sequence[str], suffix: str = "") -> str:
        """Return Django's name for an index or constraint of the columns, cut to PostgreSQL's 63 bytes."""
        return shortened(
            str(self.editor()._create_index_name(self.db_table, columns, suffix=suffix))
        )

    def ddl(self, act: Callable[[Any], None]) -> Ddl:
        """Return the SQL that the schema editor collects when `act` is called with it."""
        editor = self.editor()
        act(editor)
        return Ddl(
            tuple(sql.rstrip(";") for sql in editor.collected_sql),
            tuple(str(sql) for sql in editor.deferred_sql),
        )

    @contextmanager
    def for_older_server(self) -> Iterator[None]:
        """Make SQL, within the block, as Django makes it for a PostgreSQL before 16.

        That lacks the JSON constructors of the standard. A database that such a server dumped keeps the
        functions in their place.
        """
        features = vars(self.connection.features)  # where Django caches what it found out
        before = self.connection.features.is_postgresql_16  # type: ignore[attr-defined] # PostgreSQL's
        features["is_postgresql_16"] = False
        try:
            yield
        finally:
            features["is_postgresql_16"] = before

    def on_probe(self) -> AbstractContextManager[None]:
        """Make DDL, within the block, for the temporary probe in place of the table."""
        return self.on(PROBE)

    @contextmanager
    def on(self, table: str) -> Iterator[None]:
        """Make DDL, within the block, for the table of that quoted name in place of the model's."""
        self.model._meta.db_table = table
        try:
            yield
        finally:
            self.model._meta.db_table = self.db_table
