"""Read the texts of a RunSQL with PostgreSQL's own parser, and judge their statements."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any

from django.db import migrations

from . import rules as rule
from . import tables
from .sql_statements import SqlScript, changed_table, created_table, statement_faults
from .steps import Fault, Step

PARSER = "pglast"
EXTRA = "lint"  # of the wheel, which installs the parser

_PLACEHOLDER = re.compile(r"%(?:s|b|t|\(\w+\)s)")
_DATA = ("InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt")


@dataclass(frozen=True, slots=True)
class Script:
    """The statements of a RunSQL, by the texts that are sent one by one.

    refusals: what the parser says of texts that it refuses.
    """

    texts: tuple[SqlScript, ...]
    refusals: tuple[str, ...] = ()

    def changes_rows(self) -> bool:
        """Return whether a statement inserts, changes or deletes rows."""
        return any(each.tag in _DATA for text in self.texts for each in text.statements)

    def changes_schema(self, step: Step) -> set[str]:
        """Return the tables of releases before whose definition is changed."""
        own = self.created()
        changed = {changed_table(each) for text in self.texts for each in text.statements}
        return {each for each in changed - own if each and tables.is_existing(step, each)}

    def created(self) -> set[str]:
        """Return the tables that the statements create."""
        made = {created_table(each) for text in self.texts for each in text.statements}
        return made - {""}


def is_parser_installed() -> bool:
    return find_spec(PARSER) is not None


def is_unjudged(operation: Any) -> bool:
    """Return whether the operation has a text that nobody can read here."""
    is_sql = isinstance(operation, migrations.RunSQL)
    return is_sql and not is_parser_installed() and bool(_texts(operation.sql))


def parsed_script(operation: Any) -> Script:
    """Return the statements of the operation; none if the parser is not installed."""
    return _parsed(_texts(operation.sql)) if is_parser_installed() else Script(())


def run_sql_faults(step: Step) -> Iterator[Fault]:
    """Yield the faults of the operation, and of each of its statements."""
    operation = step.operation
    if not operation.reversible:
        yield step.fault(rule.IRREVERSIBLE)
    script = parsed_script(operation)
    for refusal in script.refusals:
        yield step.fault(rule.SQL_UNREADABLE, refusal)
    own: set[str] = set()
    is_followed = step.is_followed or len(script.texts) > 1
    for text in script.texts:
        together = script if step.is_atomic else Script((text,))
        for statement in text.statements:
            for found, what in statement_faults(statement, text, step, own, is_followed):
                yield step.fault(found, what)
            own.add(created_table(statement))
        if not step.is_atomic:
            yield from _of_transaction(step, together)
    if step.is_atomic:
        yield from _of_transaction(step, script)


def _of_transaction(step: Step, script: Script) -> Iterator[Fault]:
    """Yield what the statements that are sent in one transaction hold together."""
    changed = sorted(script.changes_schema(step))
    if len(changed) > 1:
        yield step.fault(rule.SEVERAL_LOCKS, f"RunSQL changes {' and '.join(changed)}")
    elif changed and script.changes_rows():
        what = f"RunSQL changes the definition of {changed[0]} and rows"
        yield step.fault(rule.DATA_IN_SCHEMA_TRANSACTION, what)


def _texts(texts: Any) -> tuple[str, ...]:
    """Return the texts of RunSQL, with a parameter in the place of each placeholder."""
    given: Sequence[Any] = [texts] if isinstance(texts, str) else list(texts)
    found = []
    for each in given:
        text, values = each if isinstance(each, tuple | list) else (each, None)
        filled = _PLACEHOLDER.sub("$1", text).replace("%%", "%") if values is not None else text
        found.append(filled)
    return tuple(each for each in found if each.strip())


@cache
def _parsed(texts: tuple[str, ...]) -> Script:
    from pglast.error import Error
    from pglast.parser import parse_sql_json

    made, refusals = [], []
    for text in texts:
        try:
            tree = json.loads(parse_sql_json(text))
        except Error as error:
            first = " ".join(text.split())[:60]
            refusals.append(f"{first} …: {error}")
            continue
        made.append(SqlScript.of(tree.get("stmts", [])))
    return Script(tuple(made), tuple(refusals))
