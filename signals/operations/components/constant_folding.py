"""Recognize definitions that are spelled differently and mean the same, with the help of the planner.

Its constant folding turns both `1 + 1` and `2` into `2`. No other way to prove them equal is tried.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper

from ..catalog.indexes import Index
from ..catalog.probes import Obstacle, Probe, fold_constants_in
from ..catalog.tables import Column, Constraint, Table
from ..errors import sqlstate
from ..names import PROBE
from .constraints import same_check
from .defaults import same_default
from .indexes import same_index

_CHECK = re.compile(r"CHECK (\(.*\))((?: NO INHERIT)?)(?: NOT VALID)?", re.DOTALL)
_IDENTIFIER = re.compile(r'[a-z_][\w$]*|"(?:[^"]|"")+"')
_CALL = re.compile(rf"(?<![\w$])((?:{_IDENTIFIER.pattern})(?:\.(?:{_IDENTIFIER.pattern}))*)\(")
# Text that looks like a call and is not one: in a string, or a type with its length.
_NO_CALL = re.compile(
    r"'(?:[^']|'')*'|\b(?:varying|character|numeric|bit|timestamp|time|interval)\(\d+(?:,-?\d+)?\)"
)
# How PostgreSQL prints the casts of constants, and of an array of them.
_TYPE = r"::[a-z]+(?: [a-z]+)*(?:\(\d+\))?"
_CASTS = [
    re.compile(pattern)
    for pattern in (
        rf"\(('(?:[^']|'')*'){_TYPE}\)",
        rf"('(?:[^']|'')*')(?:{_TYPE})+",
        rf"\((ARRAY\[[^][]*\])\){_TYPE}\[\]",
    )
]


@dataclass(frozen=True, slots=True)
class _Pair:
    """A component as found and as wanted, and the SELECT list of each for the planner to fold.

    theirs: the list for the component found. ours: the list for the wanted one.
    """

    found: Column | Constraint | Index
    wanted: Column | Constraint | Index
    theirs: str
    ours: str


def fold_constants(
    connection: BaseDatabaseWrapper, compared: Sequence[tuple[Probe, Table]]
) -> list[tuple[Table, Table]]:
    """Return each found table and its wanted one; fill `folded` in parts that are spelled differently.

    compared: the probes, each with the wanted table that PostgreSQL made of it.

    Take one round trip, or none if no spelling differs. Lock the tables in ACCESS SHARE, and call only
    immutable functions. If PostgreSQL cannot plan an expression on the probe, return both tables as they
    are; raise DatabaseError for any other failure.
    """
    spelled = [_pairs_to_fold(copy.found, wanted) for copy, wanted in compared]
    asked = [(copy, pairs) for (copy, _), pairs in zip(compared, spelled, strict=True) if pairs]
    lists = [[text for pair in pairs for text in (pair.theirs, pair.ours)] for _, pairs in asked]
    answers = iter(fold_constants_in(connection, [copy for copy, _ in asked], lists, PROBE))
    return [
        _with_answer(copy.found, wanted, pairs, next(answers)) if pairs else (copy.found, wanted)
        for (copy, wanted), pairs in zip(compared, spelled, strict=True)
    ]


def _pairs_to_fold(found: Table, wanted: Table) -> list[_Pair]:
    """Return the components that are spelled differently and whose plans can be compared.

    Leave out expressions with COLLATE, because a plan does not show the collation, unless they differ in the
    casts of constants alone. Leave out components that
    call different functions: the planner may replace both calls by the bodies of the functions, which may be
    equal today and differ tomorrow.
    """
    pairs = [
        *_default_pairs(found, wanted),
        *_check_pairs(found, wanted),
        *_index_pairs(found, wanted),
    ]
    return [
        pair
        for pair in pairs
        if ("COLLATE" not in pair.theirs + pair.ours or _same_but_for_casts(pair))
        and _called_functions(pair.theirs) == _called_functions(pair.ours)
    ]


def _with_answer(
    found: Table,
    wanted: Table,
    pairs: Sequence[_Pair],
    answer: list[str] | DatabaseError | Obstacle,
) -> tuple[Table, Table]:
    """Return both tables, with the planner's answer in `folded` of their components.

    answer: two texts for each pair, first for the component found; or the error of PostgreSQL.
    """
    if isinstance(answer, Obstacle):
        return found, wanted
    if isinstance(answer, DatabaseError):
        if sqlstate(answer)[:2] in ("42", "22"):  # an expression that the probe cannot take
            return found, wanted
        raise answer
    theirs = dict(zip((pair.found for pair in pairs), answer[::2], strict=True))
    ours = dict(zip((pair.wanted for pair in pairs), answer[1::2], strict=True))
    return _with_folded(found, theirs), _with_folded(wanted, ours)


def _default_pairs(found: Table, wanted: Table) -> Iterator[_Pair]:
    for column in found.columns:
        target = wanted.column(column.name)
        if target is None or column.type != target.type:
            continue
        is_plain = column.generated == target.generated and not (column.numbered or target.numbered)
        is_other = not same_default(column, target)
        if is_plain and is_other and column.default is not None and target.default is not None:
            # Without the length: a cast would cut a value off which an INSERT refuses as too long.
            kind = "text" if column.type.startswith(("character", "bit")) else column.type
            casts = (f"({each.default})::{kind}" for each in (column, target))
            yield _Pair(column, target, *casts)


def _check_pairs(found: Table, wanted: Table) -> Iterator[_Pair]:
    for check in found.constraints:
        target = wanted.constraint(check.name)
        if target is None or same_check(check, target):
            continue
        theirs, ours = (_CHECK.fullmatch(each.definition) for each in (check, target))
        if theirs and ours and theirs[2] == ours[2]:
            yield _Pair(check, target, theirs[1], ours[1])


def _index_pairs(found: Table, wanted: Table) -> Iterator[_Pair]:
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
    return _IDENTIFIER.fullmatch(key) is not None


def _same_but_for_casts(pair: _Pair) -> bool:
    """Return whether the two lists differ in nothing but the casts of constants and of arrays of these.

    PostgreSQL prints those otherwise once it has parsed its own text, as after a dump and a restore.
    """
    ours, theirs = pair.ours, pair.theirs
    for pattern in _CASTS:
        ours, theirs = (pattern.sub(r"\1", each) for each in (ours, theirs))
    return ours == theirs


def _called_functions(expression: str) -> list[str]:
    """Return the names of the functions that an expression calls.

    Keywords before a parenthesis are no match, because PostgreSQL prints them in capitals.
    """
    return sorted(_CALL.findall(_NO_CALL.sub("", expression)))


def _with_folded(table: Table, folded: dict[Column | Constraint | Index, str]) -> Table:
    return replace(
        table,
        columns=tuple(replace(each, folded=folded.get(each, "")) for each in table.columns),
        constraints=tuple(replace(each, folded=folded.get(each, "")) for each in table.constraints),
        indexes=tuple(replace(each, folded=folded.get(each, "")) for each in table.indexes),
    )
