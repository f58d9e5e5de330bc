"""Keep both names of a renamed column in use: its copy under the other name, and the copy's indexes."""

import re
from collections.abc import Iterator
from enum import Enum, auto

from ..catalog.indexes import Index
from ..catalog.query import quoted
from ..catalog.tables import Column, OldCodeTrigger, Table
from ..names import NAME, predecessor, shortened
from ..site import Site
from ..statements import Lock, Statement
from . import guards
from .columns import cast_to_compare, collate_clause
from .indexes import drop_index
from .old_code import copy_of, make_trigger, trigger_name

# Literals, quoted names and plain names, so that a name within a literal is left alone.
_TOKEN = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|[^\W\d][\w$]*|::|.""", re.DOTALL)


class Stage(Enum):
    """How far a column of the table is renamed."""

    ABSENT = auto()  # the table has neither name
    OLD = auto()
    COPIED = auto()  # the new name is that of a copy, which a trigger keeps
    SWAPPED = auto()  # the old name is that of the copy
    NEW = auto()
    BOTH = auto()  # two columns, of which neither is a copy


def stage_of(found: Table, old: str, new: str) -> Stage:
    """Return how far the column is renamed."""
    names = [each.name for each in found.columns if each.name in (old, new)]
    if len(names) < 2:  # noqa: PLR2004 - both
        stages = {(): Stage.ABSENT, (old,): Stage.OLD, (new,): Stage.NEW}
        return stages[tuple(names)]
    trigger = twin_trigger(found, old, new)
    if trigger is None:
        return Stage.BOTH
    return Stage.COPIED if copy_of(found, trigger) == new else Stage.SWAPPED


def twin_trigger(found: Table, old: str, new: str) -> OldCodeTrigger | None:
    """Return the trigger that copies the column of these names; None if there is none."""
    triggers = (each for each in found.old_code_triggers if each.twin == (old, new))
    return next(triggers, None)


def make_copy(site: Site, column: Column, new: str) -> Statement:
    """Return the statement that adds a copy of the column, which a trigger writes with each row."""
    names = [column.name, new]
    kind = f"{column.type}{collate_clause(column)}"
    add = f"ALTER TABLE {site.table} ADD COLUMN {quoted(new)} {kind}"
    body = f"NEW.{quoted(new)} := NEW.{quoted(column.name)};"
    # Always true: it makes the trigger depend on both columns, so that it goes if one is dropped by CASCADE.
    when = " AND ".join(f"(NEW.{quoted(name)} IS NULL) IS NOT NULL" for name in names)
    return make_trigger(site, trigger_name("twin", names), names, body, when=when, before=add)


def missing_copies(site: Site, found: Table, old: str, new: str) -> Iterator[Statement]:
    """Yield the statements that build, for the copy, each index of the table that has the column.

    Code that uses the old name reads by them, and upserts by the unique ones.
    """
    for index in found.indexes:
        name = shortened(f"{index.name}_{NAME}_twin")
        built = found.index(name)
        copied = _definition_on(index, old, new)
        if index.valid and copied and (built is None or not built.valid):
            if built is not None:
                yield drop_index(site, name, found)
            kind = "UNIQUE INDEX" if index.unique else "INDEX"
            yield Statement(
                f"CREATE {kind} CONCURRENTLY {quoted(name)} ON {site.table}{copied}",
                Lock.SHARE_UPDATE_EXCLUSIVE,
                site.table,
                guards.has_index(site.table, name, valid=True),
                transactional=False,
                unique=name if index.unique else "",
            )


def swap(site: Site, column: Column, trigger: OldCodeTrigger, new: str) -> Statement:
    """Return the statement that gives the column its new name, and the old one to its copy.

    From then on the trigger writes both, after the one that the code at work knows.
    """
    old, spare = quoted(column.name), quoted(predecessor(column.name))
    target = quoted(new)
    rename = f"ALTER TABLE {site.table} RENAME"
    cast = cast_to_compare(column.type, column.type)
    written = f"NEW.{old}{cast} IS DISTINCT FROM OLD.{old}{cast}"
    from_old, from_new = f"NEW.{target} := NEW.{old};", f"NEW.{old} := NEW.{target};"
    body = guards.literal(
        f"BEGIN IF TG_OP = 'INSERT' THEN IF NEW.{old} IS NULL THEN {from_new} ELSE {from_old} END IF; "
        f"ELSIF {written} THEN {from_old} ELSE {from_new} END IF; RETURN NEW; END"
    )
    steps = [
        f"{rename} {old} TO {spare}",
        f"{rename} {target} TO {old}",
        f"{rename} {spare} TO {target}",
        f"CREATE OR REPLACE FUNCTION {trigger.function} RETURNS trigger LANGUAGE plpgsql AS {body}",
    ]
    done = guards.negated(guards.has_column(site.table, column.name))
    return Statement("; ".join(steps), Lock.ACCESS_EXCLUSIVE, site.table, done)


def rename_column(site: Site, old: str, new: str) -> Statement:
    """Return the statement that renames the column."""
    sql = f"ALTER TABLE {site.table} RENAME COLUMN {quoted(old)} TO {quoted(new)}"
    return Statement(sql, Lock.ACCESS_EXCLUSIVE, site.table, guards.has_column(site.table, new))


def _definition_on(index: Index, old: str, new: str) -> str:
    """Return the definition, after the table, of the same index on the copy; empty if it lacks the column.

    A plain name before a parenthesis is that of a function, and one behind :: that of a type.
    """
    _, using, text = index.definition.partition(" USING ")
    tokens = _TOKEN.findall(text)
    is_found = False
    for place, token in enumerate(tokens):
        before, after = tokens[max(place - 1, 0)], "".join(tokens[place + 1 : place + 2])
        if token in (old, quoted(old)) and before not in ("::", ".") and after != "(":
            tokens[place], is_found = quoted(new), True
    return f"{using}{''.join(tokens)}" if is_found else ""
