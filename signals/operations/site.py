"""Where an operation works: a model on a connection, and Django's DDL for both."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
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
    """SQL that Django's schema editor would have executed, at once and at the end of its block."""

    now: tuple[str, ...]
    deferred: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Site:
    """A model as the migration's state has it, on a connection.

    `model` is the state with the operation applied, `before` the state without it, and `apps_before` all
    models of that one; `db_table` is the table's name, from which others are made, on the probe too.
    migration: its label, in a run of `migrate`. limits: of the operation that works here for another one.
    coming: columns that earlier steps of a plan are going to add.
    """

    connection: BaseDatabaseWrapper
    model: type[Model]
    db_table: str
    before: type[Model] | None = None
    apps_before: "StateApps | None" = None
    migration: str = ""
    limits: Mapping[str, float] = field(default_factory=dict, compare=False)
    coming: frozenset[str] = frozenset()

    @property
    def table(self) -> str:
        """The table's name as SQL, with its schema where db_table has one."""
        return self.quote(self.model._meta.db_table)

    def quote(self, name: str) -> str:
        """The name as SQL; db_table may hold a schema, as `"schema"."table"` or as `schema"."table`."""
        if name.startswith('"') and name.endswith('"'):
            return name
        return f'"{name}"' if '"."' in name else quoted(name)

    def field(self, name: str) -> AnyField:
        meta = self.model._meta
        field = meta.pk if name == "pk" else meta.get_field(name)
        assert isinstance(field, Field)  # noqa: S101 - narrows: no operation names a reverse relation
        return field

    def columns_of(self, names: Iterable[str], expressions: Iterable[Any] = ()) -> list[str]:
        """The columns of the named fields and of those that the expressions refer to, each once."""
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
        """The quoted name of a relation in the schema of the table as found, or as declared."""
        if found is not None:
            return f"{self.quote(found.schema)}.{self.quote(name)}"
        schema, dot, _ = self.table.rpartition(".")
        return f"{schema}{dot}{self.quote(name)}"

    def editor(self) -> Any:
        """A schema editor that collects; nothing is executed, the catalog is not read.

        Any: its underscored methods, which make the SQL, are not in Django's stubs.
        """
        editor: Any = self.connection.SchemaEditorClass(self.connection, collect_sql=True)
        editor.deferred_sql = []
        # Django writes a foreign key into ADD COLUMN, where it would be validated under its lock.
        editor.sql_create_column_inline_fk = None
        return editor

    def column(self, name: str) -> str:
        """The column of the field of that name."""
        column = self.field(name).column
        assert column is not None  # noqa: S101 - narrows: fields without a column are refused
        return column

    def name_for(self, columns: Sequence[str], suffix: str = "") -> str:
        """Django's name for an index or constraint of the columns, in the 63 bytes of a name."""
        return shortened(
            str(self.editor()._create_index_name(self.db_table, columns, suffix=suffix))
        )

    def ddl(self, act: Callable[[Any], None]) -> Ddl:
        """What the schema editor makes of the call."""
        editor = self.editor()
        act(editor)
        return Ddl(
            tuple(sql.rstrip(";") for sql in editor.collected_sql),
            tuple(str(sql) for sql in editor.deferred_sql),
        )

    def on_probe(self) -> AbstractContextManager[None]:
        """Within it, DDL is made for the temporary probe in place of the table."""
        return self.on(PROBE)

    @contextmanager
    def on(self, table: str) -> Iterator[None]:
        """Within it, DDL is made for the table of that quoted name in place of the model's."""
        self.model._meta.db_table = table
        try:
            yield
        finally:
            self.model._meta.db_table = self.db_table
