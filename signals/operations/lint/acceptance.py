"""The lines of operations in the file of a migration, and the comments that accept findings there."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db.migrations import Migration

from ..conversion.source import source_of
from .rules import RULE_OF, Rule

OperationPlace = tuple[int, ...]

_COMMENT = re.compile(r"#\s*lint:\s*accept\b[ \t]*([\w,-]*)[ \t:]*(.*)")
_MARK = "lint:"


@dataclass(frozen=True, slots=True)
class Acceptance:
    """A comment `# lint: accept RULE REASON`, and the place of the operation that it is on or above.

    rules: the rules that it names; one that there is not is left as it is written.
    """

    line: int
    rules: tuple[Rule | str, ...]
    reason: str
    place: OperationPlace | None

    def covers(self, rule: Rule, place: OperationPlace) -> bool:
        """Return whether it accepts the rule at the place, or at one inside that of its own."""
        own = self.place
        return (
            bool(self.reason)
            and rule in self.rules
            and own is not None
            and (place[: len(own)] == own)
        )


@dataclass(frozen=True, slots=True)
class Acceptances:
    """The acceptances in the file of a migration."""

    comments: tuple[Acceptance, ...] = ()

    def reason(self, rule: Rule, place: OperationPlace) -> str:
        """Return the reason with which the rule is accepted at the place; empty if it is not."""
        return next((each.reason for each in self.comments if each.covers(rule, place)), "")


@dataclass(frozen=True, slots=True)
class Lines:
    """The first and last line of each operation that is written out in the file, by its place.

    otherwise: the line for the others: that of the list, or of the class.
    """

    spans: dict[OperationPlace, tuple[int, int]]
    otherwise: int

    def of(self, place: OperationPlace) -> tuple[int, int]:
        while place and place not in self.spans:
            place = place[:-1]
        return self.spans.get(place, (self.otherwise, self.otherwise))

    def place_of(self, line: int, next_line: int) -> OperationPlace | None:
        """Return the place of the operation that begins below the comment, or else is around it."""
        begun = [place for place, (start, _) in self.spans.items() if start == next_line != line]
        around = [place for place, (start, end) in self.spans.items() if start <= line <= end]
        return min(begun, key=len) if begun else max(around, key=len, default=None)


def lines_of(migration: Migration) -> Lines:
    """Return the lines of the migration's operations, as its file has them."""
    return _lines(_text(migration))


def acceptances_of(migration: Migration) -> Acceptances:
    """Return the comments in the file of the migration that accept findings."""
    text = _text(migration)
    if _MARK not in text:  # spares most files the parser
        return Acceptances()
    return Acceptances(tuple(_comments(text, _lines(text))))


def _text(migration: Migration) -> str:
    """Return the source of the migration; an empty text where there is none to read."""
    path = source_of(migration)
    if path.suffix != ".py" or not path.is_file():
        return ""
    with tokenize.open(path) as file:  # in the encoding that the file declares
        return file.read()


def _lines(text: str) -> Lines:
    classes = [
        each
        for each in ast.parse(text).body
        if isinstance(each, ast.ClassDef) and each.name == Migration.__name__
    ]
    body = classes[-1].body if classes else []
    for statement in body:
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        targets = [statement.target] if isinstance(statement, ast.AnnAssign) else targets
        if any(isinstance(each, ast.Name) and each.id == "operations" for each in targets):
            value = statement.value  # type: ignore[attr-defined]
            return Lines(dict(_spans(value, ())), statement.lineno)
    return Lines({}, classes[-1].lineno if classes else 1)


def _spans(
    value: ast.expr | None, outer: OperationPlace
) -> Iterator[tuple[OperationPlace, tuple[int, int]]]:
    """Yield the place and the lines of each element, and of those in a SeparateDatabaseAndState.

    Behind an element that stands for several, nobody knows the places.
    """
    for number, each in enumerate(value.elts if isinstance(value, ast.List | ast.Tuple) else ()):
        if isinstance(each, ast.Starred):
            return
        place = (*outer, number)
        yield place, (each.lineno, each.end_lineno or each.lineno)
        if isinstance(each, ast.Call) and ast.unparse(each.func).endswith("DatabaseAndState"):
            named: dict[Any, ast.expr] = {word.arg: word.value for word in each.keywords}
            first = each.args[0] if each.args else None
            yield from _spans(named.get("database_operations", first), place)


def _comments(text: str, lines: Lines) -> Iterator[Acceptance]:
    tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    blank = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
    for number, token in enumerate(tokens):
        found = _COMMENT.match(token.string) if token.type == tokenize.COMMENT else None
        if found is None:
            continue
        line = token.start[0]
        is_alone = not token.line[: token.start[1]].strip()
        rest = (each.start[0] for each in tokens[number + 1 :] if each.type not in blank)
        next_line = next(rest, line) if is_alone else line
        names = [each for each in found[1].split(",") if each]
        place = lines.place_of(line, next_line)
        yield Acceptance(
            line, tuple(RULE_OF.get(each, each) for each in names), found[2].strip(), place
        )
