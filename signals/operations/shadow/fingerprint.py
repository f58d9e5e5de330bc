"""One hash of a schema, equal where two schemas are equal, on whichever server each of them is."""

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from ..catalog.objects import CatalogObject
from .comparing import NAMED_BY_DEFAULT, Spelling, is_implied
from .judging import objects_of, respell

_LENGTH = 32  # hexadecimal digits

# What servers have without being told by a project, and what comes with the rows.
_LEFT_OUT = ("publication", "schema")
_PARTITION = re.compile(r"(?:UNLOGGED )?TABLE PARTITION OF ")

_TOKEN = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|[\w$]+|\s+|.""", re.DOTALL)
_ENDS = {"WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "OFFSET", "FETCH", "FOR", "WINDOW", ";"}


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The hash of a schema of a database, and one for each kind of its objects."""

    database: str
    schema: str
    value: str
    kinds: dict[str, str]

    def as_json(self) -> dict[str, Any]:
        """Return the fingerprint as an object of the JSON output."""
        return {
            "database": self.database,
            "schema": self.schema,
            "fingerprint": self.value,
            "kinds": self.kinds,
        }


def fingerprint(connection: BaseDatabaseWrapper, *, grants: bool = False) -> Fingerprint:
    """Return the fingerprint of the schema in which the migrations are recorded; change nothing.

    It is the same whatever the order of the columns, the names that PostgreSQL and Django make where none is
    given, the owners, the versions of extensions, the storage parameters and the version of the server.
    Partitions are left out, because they come with the rows.

    grants: whether privileges are a part of it. Raise Unreadable if a right is missing.
    """
    judged, objects = objects_of(connection, grants=grants)
    partitions = {each.table for each in objects if _PARTITION.match(each.definition)}
    counted = [
        each
        for each in objects
        if each.kind not in _LEFT_OUT and not (each.table and each.table in partitions)
    ]
    spelling = Spelling(partial(respell, connection, judged))
    spelling.learn(counted)
    lines: dict[str, list[str]] = {}
    for each in counted:
        lines.setdefault(each.kind, []).append(json.dumps(list(_facts(each, spelling))))
    kinds = {kind: _digest(sorted(lines[kind])) for kind in sorted(lines)}
    value = _digest([f"{kind} {digest}" for kind, digest in kinds.items()])
    return Fingerprint(connection.alias, judged, value, kinds)


def _facts(each: CatalogObject, spelling: Spelling) -> Iterator[str]:
    is_of_column = each.kind == "sequence" and bool(each.table)
    is_nameless = each.kind in NAMED_BY_DEFAULT and is_implied(each.name)
    yield each.table
    yield each.source if is_of_column else "" if is_nameless else each.name
    rest, *expressions = spelling.of(each)
    yield rest
    yield from map(without_only_qualifier, expressions)
    yield each.state


def as_hashes(fingerprints: Sequence[Fingerprint], *, as_json: bool = False) -> str:
    """Return the hash of one database alone, of several each with its database, or a JSON object of all."""
    if as_json:
        listed = [each.as_json() for each in fingerprints]
        return json.dumps({"version": 1, "databases": listed}, indent=2)
    if len(fingerprints) == 1:
        return fingerprints[0].value
    return "\n".join(f"{each.value}  {each.database}" for each in fingerprints)


def without_only_qualifier(text: str) -> str:
    """Return a query as one version prints it, in the form of all: in one line, without its only qualifier.

    Before 16, PostgreSQL wrote the name of the table in front of each column even if the query has only one.
    """
    words = [each for each in _TOKEN.findall(text) if not each.isspace()]
    relation = _only_relation(words)
    kept: list[str] = []
    for place, word in enumerate(words):
        is_dot = (
            word == "." and kept and kept[-1] == relation and words[place - 2 : place - 1] != ["."]
        )
        if relation and is_dot:
            kept.pop()
            continue
        kept.append(word)
    return " ".join(kept).rstrip("; ")


def _only_relation(words: Sequence[str]) -> str:
    """Return the name of the only relation that the query selects from; empty if there are more or none."""
    depth, inside, names, found = 0, False, list[str](), 0
    for word in words:
        depth += (word == "(") - (word == ")")
        if depth:
            continue
        if word == "FROM":
            inside, found = True, found + 1
        elif word in _ENDS:
            inside = False
        elif inside:
            names.append(word)
    if found != 1 or not names or {",", "JOIN"} & set(names):
        return ""
    return names[-1]


def _digest(lines: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:_LENGTH]
