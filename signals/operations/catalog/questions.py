"""Look up any number of tables and types in one round trip."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper

from ..errors import is_impossible
from .enums import ENUM_FACTS, parse_enum
from .partitions import partition_tree
from .query import (
    IN_FULL,
    INTERPRETED,
    compose,
    for_server,
    query_rows,
    query_rows_in_full,
    query_scripts,
)
from .records import TABLE_STANDING, Standing
from .tables import Missing, Table, parse_answer, table_facts


@dataclass(frozen=True, slots=True)
class Question:
    """A table or type to look up by its quoted name, resolved on the search_path.

    indexes: plain names of wanted indexes, for Table.taken and Table.tree.
    types: quoted names of types to resolve as well, for Table.unknown.
    unreadable: names of types that PostgreSQL cannot read, and that are not asked for; unknown as well.
    tables: quoted names of tables to resolve as well, for Table.targets.
    collations: plain names of collations, for Table.nondeterministic.
    kind: TABLE, ENUM or PLACED.
    family: the group of schemas in which `ask_in_schemas` asks the question.
    new: whether a missing table is answered by Missing, if names that its indexes are to get are taken.
    details: whether to read Table.details.
    """

    name: str
    indexes: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    collations: tuple[str, ...] = ()
    kind: str = "table"
    family: int = 0
    unreadable: tuple[str, ...] = ()
    new: bool = False
    details: bool = False

    def joined(self, other: "Question") -> "Question":
        """Return a question that asks for the same as this one and another one about the same name."""
        return replace(
            self,
            indexes=_union(self.indexes, other.indexes),
            types=_union(self.types, other.types),
            tables=_union(self.tables, other.tables),
            collations=_union(self.collations, other.collations),
            new=self.new or other.new,
            details=self.details or other.details,
        )


@dataclass(frozen=True, slots=True)
class SameInSchemas:
    """An answer, and the schemas that agree on it.

    answer: that of the first schema, whose OIDs and name it contains.
    """

    schemas: tuple[str, ...]
    answer: Any


# How the table stands to current_schema(), where CREATE TABLE would put it.
_PLACED = f"""
SELECT pg_catalog.to_json(({TABLE_STANDING})::pg_catalog.text)::pg_catalog.text FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = pg_catalog.to_regclass(q.name) AND c.relkind IN ('r', 'p')
"""  # noqa: S608 - a constant

TABLE, ENUM, PLACED = "table", "enum", "placed"

# The questions as rows `q`; `place` is the position of each in the list.
_QUESTIONS = """pg_catalog.jsonb_to_recordset(%s::pg_catalog.jsonb) q (
  place int4, family int4, kind text, name text, indexes text[], types text[], tables text[],
  collations text[], "new" bool)"""

# One question. Without LIMIT the planner would expect a hundred; see query.py's INTERPRETED.
_QUESTION = f"(SELECT * FROM {_QUESTIONS} LIMIT 1) q"  # noqa: S608 - a constant

# Ask every question in every schema of its family, and group the schemas by the answer.
#
# To group, remove from the answers what differs between schemas alone: OIDs, numbers of pages, the schema's
# name, and the definitions of indexes, which are the only ones that contain that name. Partitioned tables are
# not grouped.
#
# The condition of the CASE sets the search_path before the facts are read; PostgreSQL promises that order for
# CASE, and not for AND or for a SELECT list. OFFSET 0 keeps the planner from merging the subquery with the
# grouping.
_IN_SCHEMAS = f"""
SELECT x.place, pg_catalog.array_agg(x.schema ORDER BY x.schema), pg_catalog.min(ARRAY[x.schema, x.facts])
FROM (
  SELECT q.place, s.schema, CASE
    WHEN pg_catalog.set_config('search_path', s.path, true) IS NOT NULL THEN <facts> END AS facts
  FROM {_QUESTIONS}
  JOIN pg_catalog.jsonb_to_recordset(%s::pg_catalog.jsonb) s (family int4, schema text, path text)
    ON s.family = q.family
  OFFSET 0) x
GROUP BY x.place, pg_catalog.regexp_replace(x.facts,
  '"(oid|target|part_of|pages)" : [0-9]+|"schema" : "([^"\\\\]|\\\\.)*"'
  '|"definition" : "CREATE ([^"\\\\]|\\\\.)*"', '', 'g'),
  CASE WHEN pg_catalog.left(x.facts, 40) LIKE '%%"kind" : "p"%%' THEN x.schema END
ORDER BY 1, 3
"""  # noqa: S608 - a constant

_TYPES = "SELECT pg_catalog.to_regtype(t) FROM pg_catalog.unnest(%s::pg_catalog.text[]) t"

# The facts of a table begin with the setting of the session that asked.
_DIGITS = re.compile(r'^\{"digits" : (-?\d+)')


def find_table(connection: BaseDatabaseWrapper, name: str) -> Table | None:
    """Return the table that the quoted name resolves to on the search_path; None if there is none."""
    found: Table | None = ask(connection, [Question(name)])[0]
    return found


def ask(connection: BaseDatabaseWrapper, questions: Sequence[Question]) -> list[Any]:
    """Return the answer to each question: a Table, an Enum, or a Standing for PLACED; None if there is none.

    The answer for a table that is missing may be Missing, if the question is of a new one.

    Look up each name once. Take one round trip, and one more for each partitioned table that a question wants
    indexes of, to read its partitions. Questions are sent twice if a table has an invalid index, which may
    be being built, or is further back on the search_path, and a single one if the session rounds doubles.
    """
    joined: dict[tuple[str, str], Question] = {}
    for question in questions:
        key = question.kind, question.name
        joined[key] = joined[key].joined(question) if key in joined else question
    asked = list(joined.values())
    told = _ask_readable(connection, asked, partial(_ask_once, connection)) if asked else []
    answers = dict(zip(joined, told, strict=True))
    return [_narrowed(answers[each.kind, each.name], each) for each in questions]


def _ask_once(connection: BaseDatabaseWrapper, questions: Sequence[Question]) -> list[Any]:
    """Return the answer to each question; no two of them are about the same name."""
    answers = _answers(connection, questions, thorough=False)
    if not all(map(_is_enough, questions, answers)):
        answers = _answers(connection, questions, thorough=True)
    for place, (question, answer) in enumerate(zip(questions, answers, strict=True)):
        if isinstance(answer, Table) and answer.kind == "p" and question.indexes:
            tree = partition_tree(connection, answer.oid, question.indexes)
            answers[place] = replace(answer, tree=tree)
    return answers


def _is_enough(question: Question, answer: Any) -> bool:
    """Return whether the answer of a question that is not thorough tells all."""
    if not isinstance(answer, Table):
        return True
    is_placed = answer.standing is Standing.CURRENT or "." in question.name
    return answer.is_valid and is_placed


def _answers(
    connection: BaseDatabaseWrapper, questions: Sequence[Question], *, thorough: bool
) -> list[Any]:
    """Return the answer to each question, without the partitions of tables."""
    facts, parameters = facts_of(connection, questions, thorough=thorough), [as_records(questions)]
    if len(questions) == 1:
        # A plain SELECT needs no transaction; only a session that rounds doubles is asked again, in one.
        text = f"SELECT {facts} FROM {_QUESTION}"  # noqa: S608 - its own
        rows = query_rows(connection, text, parameters)
        if _is_rounded(rows[0][0]):
            rows = query_rows_in_full(connection, text, parameters)
    else:
        text = f"SELECT {facts} FROM {_QUESTIONS} ORDER BY q.place"  # noqa: S608 - its own
        script = [INTERPRETED, IN_FULL, compose(connection, text, parameters)]
        rows = query_scripts(connection, script)[0]
    return [_answer(question, row[0]) for question, row in zip(questions, rows, strict=True)]


def ask_in_schemas(
    connection: BaseDatabaseWrapper,
    schemas: Sequence[tuple[int, str, str]],
    questions: Sequence[Question],
) -> list[list[SameInSchemas]]:
    """Return the answers to each question in every schema of its family, one for all schemas that agree.

    schemas: family, name and search_path (as SQL) of each. Take one round trip and roll it back, so that
    the session keeps its search_path. Each partitioned table is an answer of its own, and comes without its
    partitions.
    """
    ask_them = partial(_ask_in_schemas, connection, schemas)
    return _ask_readable(connection, questions, ask_them) if questions else []


def _ask_in_schemas(
    connection: BaseDatabaseWrapper,
    schemas: Sequence[tuple[int, str, str]],
    questions: Sequence[Question],
) -> list[list[SameInSchemas]]:
    answers: list[list[SameInSchemas]] = [[] for _ in questions]
    facts = facts_of(connection, questions, thorough=True)
    text = _IN_SCHEMAS.replace("<facts>", facts)
    families = [
        {"family": family, "schema": schema, "path": path} for family, schema, path in schemas
    ]
    records = json.dumps(families, ensure_ascii=False)
    question = compose(connection, text, [as_records(questions), records])
    for place, names, (_, facts) in query_scripts(connection, [INTERPRETED, IN_FULL, question])[0]:
        answers[place].append(SameInSchemas(tuple(names), _answer(questions[place], facts)))
    return answers


def facts_of_one(connection: BaseDatabaseWrapper, question: Question) -> str:
    """Return a SELECT of one row that answers the question when it runs, without parameters."""
    facts = facts_of(connection, [question], thorough=False)
    text = f"SELECT {facts} FROM {_QUESTION}"  # noqa: S608 - its own
    return compose(connection, text, [as_records([question])])


def answers_of_one(question: Question, rows: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Return the answer that the row of `facts_of_one` gives, alone; nothing if one has to ask again."""
    if not rows or _is_rounded(rows[0][0]):
        return []
    answer = _answer(question, rows[0][0])
    is_parted = isinstance(answer, Table) and answer.kind == "p" and question.indexes
    return [answer] if _is_enough(question, answer) and not is_parted else []


def facts_of(
    connection: BaseDatabaseWrapper, questions: Sequence[Question], *, thorough: bool
) -> str:
    """Return the SQL expression that answers each question `q`: JSON as text, NULL if there is none.

    thorough: as in `table_facts`.
    """
    facts = {
        TABLE: table_facts(
            types=any(each.types for each in questions),
            tables=any(each.tables for each in questions),
            collations=any(each.collations for each in questions),
            indexes=any(each.indexes for each in questions),
            details=any(each.details for each in questions),
            new=any(each.new for each in questions),
            thorough=thorough,
        ),
        ENUM: ENUM_FACTS,
        PLACED: _PLACED,
    }
    kinds = sorted({question.kind for question in questions})
    cases = " ".join(f"WHEN '{kind}' THEN ({facts[kind]})" for kind in kinds)
    sql = f"({facts[kinds[0]]})" if len(kinds) == 1 else f"CASE q.kind {cases} END"
    return for_server(connection, sql)


def as_records(questions: Sequence[Question]) -> str:
    """Return the questions as the JSON array that _QUESTIONS takes."""
    records = [{"place": place, **asdict(each)} for place, each in enumerate(questions)]
    return json.dumps(records, ensure_ascii=False)


def _union(names: Sequence[str], others: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*names, *others]))


def _narrowed(answer: Any, question: Question) -> Any:
    """Return the answer to a joined question, without the parts that this question does not ask for."""
    if isinstance(answer, Missing):
        taken = tuple(each for each in answer.taken if each.name in question.indexes)
        return replace(answer, taken=taken) if question.new and taken else None
    if not isinstance(answer, Table):
        return answer
    return replace(
        answer,
        unknown=tuple(name for name in answer.unknown if name in question.types),
        targets={name: each for name, each in answer.targets.items() if name in question.tables},
        taken=tuple(each for each in answer.taken if each.name in question.indexes),
        tree=answer.tree if question.indexes else None,
    )


def _answer(question: Question, text: str | None) -> Any:
    if text is None:
        return None
    if question.kind != TABLE:
        return parse_enum(text) if question.kind == ENUM else Standing(json.loads(text))
    table = parse_answer(text)
    if isinstance(table, Missing):
        return table
    return replace(table, unknown=(*table.unknown, *question.unreadable))


def _ask_readable(
    connection: BaseDatabaseWrapper,
    questions: Sequence[Question],
    ask_them: Callable[[Sequence[Question]], list[Any]],
) -> list[Any]:
    """Return the answers; ask again without the types that PostgreSQL cannot read, if there are any.

    to_regtype() raises an error for a name that is no type's by its syntax, as a field of a third party may
    declare. The error has ended the whole question.
    """
    try:
        return ask_them(questions)
    except DatabaseError as error:
        types = sorted({name for question in questions for name in question.types})
        if connection.needs_rollback or not is_impossible(error):
            raise
        if not (unreadable := _unreadable(connection, types)):
            raise
    return ask_them([_without(question, unreadable) for question in questions])


def _without(question: Question, unreadable: set[str]) -> Question:
    types = tuple(each for each in question.types if each not in unreadable)
    left_out = tuple(each for each in question.types if each in unreadable)
    return replace(question, types=types, unreadable=left_out)


def _unreadable(connection: BaseDatabaseWrapper, types: Sequence[str]) -> set[str]:
    """Return those of the types whose names PostgreSQL cannot read; bisect, for few round trips."""
    try:
        query_scripts(connection, [compose(connection, _TYPES, [list(types)])])
    except DatabaseError as error:
        if not is_impossible(error):
            raise
        middle = len(types) // 2
        if not middle:
            return set(types)
        return _unreadable(connection, types[:middle]) | _unreadable(connection, types[middle:])
    return set()


def _is_rounded(text: str | None) -> bool:
    """Return whether the session that gave these facts of a table rounds the doubles that it prints."""
    found = _DIGITS.search(text or "")
    return found is not None and int(found[1]) < 1
