"""Compare the objects of two databases: by name, and by definition where the name is only implied."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from ..catalog.objects import CatalogObject

Text: TypeAlias = tuple[str, str]
ObjectKey: TypeAlias = tuple[str, str, str]

Respell: TypeAlias = Callable[[Sequence[Text]], Sequence[str]]

# The parts of a table whose name says nothing, if the server or Django has made it.
NAMED_BY_DEFAULT = ("check", "exclusion", "foreign key", "index", "primary key", "unique")

# PostgreSQL's own names, and Django's with eight digits of a hash or with the _idx of Meta.indexes.
_IMPLIED = re.compile(
    r".*_(?:pkey|key|fkey|check|excl|idx|not_null)\d*|.*_[0-9a-f]{8}(?:_\w*)?|.*_[0-9a-f]{6}_idx"
)

_TABLES = ("table", "foreign table")

# A foreign key is known by its columns. Whether it is deferrable is not compared.
_REFERENCE = re.compile(r"FOREIGN KEY \(.+?\) REFERENCES ")
_DEFERRAL = re.compile(r" DEFERRABLE( INITIALLY DEFERRED)?")


@dataclass(frozen=True, slots=True)
class Pair:
    """An object as found and as wanted; None if there is none.

    is_renamed: whether the two have different names, and the wanted one is not implied.
    """

    found: CatalogObject | None
    wanted: CatalogObject | None
    is_renamed: bool = False

    @property
    def any(self) -> CatalogObject:
        """Return the wanted object, or the found one if none is wanted."""
        made = self.wanted or self.found
        assert made is not None  # noqa: S101 - narrows: no pair is of nothing
        return made


@dataclass(frozen=True, slots=True)
class ComparedObjects:
    """The pairs that differ, and those that are the same."""

    different: list[Pair] = field(default_factory=list)
    same: list[Pair] = field(default_factory=list)


def is_implied(name: str) -> bool:
    """Return whether PostgreSQL or Django makes such a name where none is given."""
    return _IMPLIED.fullmatch(name) is not None


def compare_objects(
    found: Iterable[CatalogObject], wanted: Iterable[CatalogObject], respell: Respell
) -> ComparedObjects:
    """Return how the objects that were found differ from those that are wanted.

    What belongs to a table or object that is missing or undeclared itself is left out, and so is the sequence
    of a column that differs. So is a partition, with all of its own, that nobody declares of a table that is
    declared: it comes with the rows.

    respell: returns the texts as the server spells them once more; it is asked once, for those that differ.
    """
    here, there = _by_key(found), _by_key(wanted)
    pairs = [(here[key], there[key]) for key in there if key in here]
    lost = [each for key, each in there.items() if key not in here]
    more = [each for key, each in here.items() if key not in there]
    spelling = Spelling(respell)
    spelling.learn([*_spelled_otherwise(pairs), *_nameless(lost), *_nameless(more)])
    compared = ComparedObjects()
    for one, other in pairs:
        is_same = spelling.same(one, other) and (not one.state or bool(other.state))
        (compared.same if is_same else compared.different).append(Pair(one, other))
    for one in lost:
        candidates = [each for each in more if _may_be(each, one)]
        match = next((each for each in candidates if spelling.same(each, one)), None)
        if match is None:
            alike = next((each for each in candidates if _refers_alike(each, one)), None)
            if alike is not None:
                more.remove(alike)
            compared.different.append(Pair(alike, one))
            continue
        more.remove(match)
        is_named = not (is_implied(one.name) or one.kind == "primary key")
        is_right = not is_named and (not match.state or bool(one.state))
        pair = Pair(match, one, is_renamed=is_named)
        (compared.same if is_right else compared.different).append(pair)
    compared.different.extend(Pair(each, None) for each in more)
    compared.different[:] = _without_parts(compared.different, there)
    return compared


class Spelling:
    """The spelling of definitions in which two that mean the same are one.

    respell: see `compare_objects`.
    """

    def __init__(self, respell: Respell) -> None:
        self._respell = respell
        self._known: dict[Text, str] = {}

    def learn(self, objects: Iterable[CatalogObject]) -> None:
        """Ask for the spelling of the expressions of the objects."""
        texts = {(text, each.source): None for each in objects for text in each.expressions}
        unknown = [each for each in texts if each not in self._known]
        self._known |= zip(unknown, self._respell(unknown) if unknown else (), strict=True)

    def same(self, found: CatalogObject, wanted: CatalogObject) -> bool:
        """Return whether the definitions are the same; further storage parameters of the found one are."""
        if not set(wanted.options) <= set(found.options):
            return False
        return found.definition == wanted.definition or self.of(found) == self.of(wanted)

    def of(self, each: CatalogObject) -> tuple[str, ...]:
        """Return the definition without its expressions, and those as far as their spelling is known."""
        spelled = [self._known.get((text, each.source), text) for text in each.expressions]
        return skeleton(each), *spelled


def skeleton(each: CatalogObject) -> str:
    """Return the definition with a mark in the place of each expression."""
    text = _DEFERRAL.sub("", each.definition) if each.kind == "foreign key" else each.definition
    for expression in sorted(each.expressions, key=len, reverse=True):
        text = text.replace(expression, "\0")
    return text


def _by_key(objects: Iterable[CatalogObject]) -> dict[ObjectKey, CatalogObject]:
    """Return the objects by what tells them apart: of the sequence of a column the column."""
    return {
        (each.kind, each.source, each.table) if _is_of_column(each) else each.key: each
        for each in objects
    }


def _is_of_column(each: CatalogObject) -> bool:
    return each.kind == "sequence" and bool(each.table)


def _spelled_otherwise(
    pairs: Iterable[tuple[CatalogObject, CatalogObject]],
) -> Iterator[CatalogObject]:
    for pair in pairs:
        if pair[0].definition != pair[1].definition:
            yield from pair


def _nameless(objects: Iterable[CatalogObject]) -> Iterator[CatalogObject]:
    return (each for each in objects if each.kind in NAMED_BY_DEFAULT)


def _may_be(found: CatalogObject, wanted: CatalogObject) -> bool:
    """Return whether the one may be the other under another name."""
    is_part = wanted.kind in NAMED_BY_DEFAULT
    return is_part and (found.kind, found.table) == (wanted.kind, wanted.table)


def _refers_alike(found: CatalogObject, wanted: CatalogObject) -> bool:
    """Return whether the two are foreign keys of the same columns."""
    one, other = (_REFERENCE.match(each.definition) for each in (found, wanted))
    return one is not None and other is not None and one[0] == other[0]


def _parent(each: CatalogObject) -> str:
    """Return the quoted name of the table that the object is a partition of; empty if it is none."""
    found = re.match(r"(?:UNLOGGED )?TABLE PARTITION OF (\S+)", each.definition)
    return f'"{found[1]}"' if found else ""


def _without_parts(pairs: Sequence[Pair], wanted: dict[ObjectKey, CatalogObject]) -> list[Pair]:
    """Return the pairs without those of parts whose whole is missing or undeclared."""
    alone = [each for each in pairs if each.found is None or each.wanted is None]
    tables = {each.any.table for each in alone if each.any.kind in _TABLES}
    labels = {(each.any.label, each.any.table) for each in alone}
    columns = {(each.any.name, each.any.table) for each in alone if each.any.kind == "column"}
    changed = {(each.any.name, each.any.table) for each in pairs if each.any.kind == "column"}
    declared = {each.table for each in wanted.values() if each.kind in _TABLES}

    def is_part(each: CatalogObject) -> bool:
        if each.kind in _TABLES:
            return _parent(each) in tables
        if each.kind == "sequence" and (each.source, each.table) in changed:
            return True
        of_column = (each.name, each.table) in columns
        is_comment = each.kind == "comment" and (of_column or (each.name, each.table) in labels)
        return each.table in tables or is_comment

    def is_of_growth(each: Pair) -> bool:
        """Return whether the pair is a partition that came with the rows."""
        if each.wanted or each.any.kind not in _TABLES:
            return False
        return _parent(each.any) in declared

    return [each for each in pairs if not (is_part(each.any) or is_of_growth(each))]
