"""Expressions that the admin searches by, and the orders of their indexes."""

from typing import Final

from django.db.models import DateTimeField, F, Func, OrderBy, TextField, Value
from django.db.models.functions import Coalesce, Greatest, Left, Lower, NullIf, Trim

MAX_BEGINNING: Final = 200
"""Characters of a stranger's text that an index has; a btree refuses a row with a long one."""


def beginning(field: str) -> Left:
    """Return the expression for the beginning of a text, as the admin filters by it."""
    return Left(field, MAX_BEGINNING)


def twin_of(key: str) -> Greatest:
    """Return an expression that is always equal to the column, but that an index of the column lacks.

    The planner would walk along that index for any filter, and for one whose rows are all old that means
    through the whole table.
    """
    return Greatest(key, key)


def symbol_key(path: str = "") -> Lower:
    """Return the expression for an event's symbol as the admin searches it: in lower case, without $.

    `path` leads from the model to the event, as in a lookup: "event__".
    """
    return Lower(
        Func(F(f"{path}symbol"), Value("$"), function="LTRIM", output_field=TextField()),
    )


def newest_event(path: str = "") -> OrderBy:
    """Return the order by which the admin finds the newest events of a kind.

    It is that of `last_ts`, as an expression that no other index has: the planner would walk along the
    index of last_ts, and for a symbol whose time is over that means through the whole table.
    """
    template = "timezone('UTC', %(expressions)s)"
    return Func(F(f"{path}last_ts"), template=template, output_field=DateTimeField()).desc()


def newest_id(path: str = "") -> OrderBy:
    """Return the same order for rows that are found by their number, the newest first."""
    return (F(f"{path}id") + Value(0)).desc()


def token_address_key(path: str = "") -> Lower:
    """Return the expression for the address of an event's token in lower case, without its chain.

    The address stands in `token_ca` or, if that is blank, in the event's key. At most 200 characters are
    taken, so that an index can hold the address whatever text was written.
    """

    def part(field: str, number: int) -> Func:
        column = F(path + field)
        return Func(
            *(Trim(column), Value(":"), Value(number)),
            function="SPLIT_PART",
            output_field=TextField(),
        )

    address = Coalesce(NullIf(part("token_ca", -1), Value("")), part("event_key", 2))
    return Lower(Left(address, MAX_BEGINNING))
