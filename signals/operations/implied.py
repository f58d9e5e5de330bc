"""What unique=True and db_index=True of a field ask for, known by its columns, not by its name."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from django.db.models import Index, UniqueConstraint

from signals.operations import guards
from signals.operations.add_unique import AddUniqueIfMissing
from signals.operations.base import Convergent
from signals.operations.catalog import Table
from signals.operations.create_index import CreateIndexConcurrentlyIfMissing
from signals.operations.site import AnyField, Site
from signals.operations.statements import Statement


def implied(
    model_name: str, site: Site, field: AnyField, found: Table | None
) -> Iterator[Convergent]:
    """The operations for the field's own index or uniqueness, if the table has none, by any name.

    Django's further index for LIKE on text comes with a new table only.
    """
    if field.primary_key:
        return
    if field.unique:
        yield from implied_unique(model_name, site, [field.name], found)
    elif getattr(field, "db_index", False):
        column = site.column(field.name)
        name = site.name_for([column])
        if not _has_another(name, found, [column]):
            index = Index(fields=[field.name], name=name)
            yield CreateIndexConcurrentlyIfMissing(model_name, index)


def implied_unique(
    model_name: str, site: Site, names: Sequence[str], found: Table | None
) -> Iterator[Convergent]:
    """The operation that makes the fields unique together, if no index of the table does."""
    columns = [site.column(name) for name in names]
    name = site.name_for(columns, "_uniq")
    if not _has_another(name, found, columns, unique=True):
        yield _Implied(model_name, UniqueConstraint(fields=names, name=name))


class _Implied(AddUniqueIfMissing):
    """In a printed script too, an index of any name serves."""

    def script(self, site: Site) -> list[Statement]:
        columns = [site.column(name) for name in self.constraint.fields]
        refuse, build, *rest = super().script(site)
        another = guards.has_unique_on(site.table, columns)
        return [refuse, replace(build, unless=guards.either(build.unless, another)), *rest]


def _has_another(
    name: str, found: Table | None, columns: Sequence[str], *, unique: bool = False
) -> bool:
    """Whether an index serves in the place of the one of that name, which the table does not have.

    It is valid, without a condition, and has exactly these keys in the default order of their type.
    """
    if found is None or found.index(name) is not None:
        return False
    return any(
        index.valid
        and index.predicate is None
        and (index.unique or not unique)
        and not any(key[1].endswith("_pattern_ops") for key in index.keys)
        and [_bare(key[0]) for key in index.keys] == list(columns)
        for index in found.indexes
    )


def _bare(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name
