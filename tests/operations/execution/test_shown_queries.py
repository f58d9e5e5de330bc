"""What is shown of other sessions' queries: nothing, their shape, or all."""

import pytest

from signals.operations.catalog.sessions import ShownQueries
from signals.operations.execution.policy import LockPolicy

SHAPES = {
    "SELECT * FROM users WHERE email = 'a@b.c' AND age > 41": (
        "SELECT * FROM users WHERE email = ? AND age > ?"
    ),
    "UPDATE t1 SET \"Col'1\" = 'it''s', b2 = $1 WHERE id = 7": (
        'UPDATE t1 SET "Col\'1" = ?, b2 = $1 WHERE id = ?'
    ),
    "SELECT E'it\\'s', B'101', U&'\\0041', N'x', $$a 'b'$$, $tag$ $$ 5 $tag$, 1.5e3": (
        "SELECT ?, ?, ?, N?, ?, ?, ?"
    ),
    "INSERT INTO logs VALUES ('cut o": "INSERT INTO logs VALUES (?",
    "SELECT $body$ cut": "SELECT ?",
    "SELECT 1 /* it's */ -- don't 5\n, 'x'": "SELECT ? /* it's */ -- don't 5\n, ?",
    "SELECT name FROM expires WHERE type='x'": "SELECT name FROM expires WHERE type=?",
    "": "",
}


@pytest.mark.parametrize("query", SHAPES)
def test_literals_are_hidden_also_those_that_are_cut_off(query: str) -> None:
    assert ShownQueries.WITHOUT_LITERALS.shown(query) == SHAPES[query]
    assert ShownQueries.EVERYTHING.shown(query) == query


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        *((each, ShownQueries.NOTHING) for each in ("off", "OFF", "false", "no", "0")),
        *((each, ShownQueries.EVERYTHING) for each in ("on", "true", "Yes", "1")),
        ("", ShownQueries.WITHOUT_LITERALS),
    ],
)
def test_a_switch_of_the_environment_may_be_spelled_in_any_way(
    text: str, shown: ShownQueries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONVERGENT_MIGRATIONS_SHOW_QUERIES", text)
    assert LockPolicy.from_settings().queries is shown


def test_one_and_zero_are_numbers_where_no_switch_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CONVERGENT_MIGRATIONS_LOCK_WAIT", "1")
    assert LockPolicy.from_settings().lock_wait == 1.0
