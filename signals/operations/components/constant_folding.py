"""What is spelled differently and means the same: the planner folds constants, and nothing else."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper

from ..catalog.indexes import Index
from ..catalog.probes import Probe, fold_constants_in
from ..catalog.tables import Column, Constraint, Table
from ..errors import sqlstate
from ..names import PROBE
from .columns import same_default
from .constraints import same_check
from .indexes import same_index

_CHECK = re.compile(r"CHECK (\(.*\))((?: NO INHERIT)?)(?: NOT VALID)?", re.DOTALL)
_COLUMN = re.compile(r'[a-z_][\w$]*|"(?:[^"]|"")+"')
_CALL = re.compile(rf"((?:{_COLUMN.pattern})(?:\.(?:{_COLUMN.pattern}))*)\(")
# What looks like a call and is none: within a string, or a type with its length.
_NO_CALL = re.compile(
    r"'(?:[^']|'')*'|\b(?:varying|character|numeric|bit|timestamp|time|interval)\(\d+(?:,-?\d+)?\)"
)


@dataclass(frozen=True, slots=True)
class _Pair:
    """A part as found and as wanted, each with the SELECT list that the planner is asked to fold."""

    found: Column | Constraint | Index
    wanted: Column | Constraint | Index
    theirs: str
    ours: str


def fold_constants(
    connection: BaseDatabaseWrapper, compared: Sequence[tuple[Probe, Table]]
) -> list[tuple[Table, Table]]:
    """Each found table and the wanted one; what is spelled differently tells what the planner makes of it.

    compared: copies with the declarations on them, and what PostgreSQL made of those. One round trip, if
    there is any such part; takes ACCESS SHARE on the tables, executes nothing but immutable functions.
    """
    spelled = [_spelled(copy.found, wanted) for copy, wanted in compared]
    asked = [(copy, pairs) for (copy, _), pairs in zip(compared, spelled, strict=True) if pairs]
    lists = [[text for pair in pairs for text in (pair.theirs, pair.ours)] for _, pairs in asked]
    answers = iter(fold_constants_in(connection, [copy for copy, _ in asked], lists, PROBE))
    return [
        _folded(copy.found, wanted, pairs, next(answers)) if pairs else (copy.found, wanted)
        for (copy, wanted), pairs in zip(compared, spelled, strict=True)
    ]


def _spelled(found: Table, wanted: Table) -> list[_Pair]:
    """The parts that are spelled differently and may mean the same.

    A plan does not show the collation that an expression is compared by, nor the function that the
    planner has put the body of in its place, which may be another tomorrow.
    """
    pairs = [*_defaults(found, wanted), *_checks(found, wanted), *_indexes(found, wanted)]
    return [
        pair
        for pair in pairs
        if "COLLATE" not in pair.theirs + pair.ours and _calls(pair.theirs) == _calls(pair.ours)
    ]


def _folded(
    found: Table, wanted: Table, pairs: Sequence[_Pair], answer: list[str] | DatabaseError
) -> tuple[Table, Table]:
    if isinstance(answer, DatabaseError):
        if not sqlstate(answer).startswith(
            ("42", "22")
        ):  # an expression that the probe cannot take
            raise answer
        return found, wanted
    theirs = dict(zip((pair.found for pair in pairs), answer[::2], strict=True))
    ours = dict(zip((pair.wanted for pair in pairs), answer[1::2], strict=True))
    return _with_folded(found, theirs), _with_folded(wanted, ours)


def _defaults(found: Table, wanted: Table) -> Iterator[_Pair]:
    for column in found.columns:
        target = wanted.column(column.name)
        if target is None or column.type != target.type:
            continue
        is_plain = not (column.generated or target.generated or column.numbered or target.numbered)
        is_other = not same_default(column, target)
        if is_plain and is_other and column.default is not None and target.default is not None:
            # A cast to a length would cut what an INSERT refuses.
            kind = "text" if column.type.startswith(("character", "bit")) else column.type
            casts = (f"({each.default})::{kind}" for each in (column, target))
            yield _Pair(column, target, *casts)


def _checks(found: Table, wanted: Table) -> Iterator[_Pair]:
    for check in found.constraints:
        target = wanted.constraint(check.name)
        if target is None or same_check(check, target):
            continue
        theirs, ours = (_CHECK.fullmatch(each.definition) for each in (check, target))
        if theirs and ours and theirs[2] == ours[2]:
            yield _Pair(check, target, theirs[1], ours[1])


def _indexes(found: Table, wanted: Table) -> Iterator[_Pair]:
    for index in found.indexes:
        target = wanted.index(index.name)
        if target is None or same_index(index, target):
            continue
        if [_is_column(key[0]) for key in index.keys] == [
            _is_column(key[0]) for key in target.keys
        ]:
            yield _Pair(index, target, _expressions(index), _expressions(target))


def _expressions(index: Index) -> str:
    return ", ".join([*(f"({key[0]})" for key in index.keys), f"({index.predicate or 'true'})"])


def _is_column(key: str) -> bool:
    return _COLUMN.fullmatch(key) is not None


def _calls(expression: str) -> list[str]:
    """The functions that an expression calls; PostgreSQL prints its keywords in capitals."""
    return sorted(_CALL.findall(_NO_CALL.sub("", expression)))


def _with_folded(table: Table, folded: dict[Column | Constraint | Index, str]) -> Table:
    return replace(
        table,
        columns=tuple(replace(each, folded=folded.get(each, "")) for each in table.columns),
        constraints=tuple(replace(each, folded=folded.get(each, "")) for each in table.constraints),
        indexes=tuple(replace(each, folded=folded.get(each, "")) for each in table.indexes),
    )
