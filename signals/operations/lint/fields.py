"""The types of columns without a database, and what changes between two declarations of a field."""

import re
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.state import ModelState, ProjectState
from django.db.models import CheckConstraint, Expression, Q

# Functions whose result differs from row to row, as PostgreSQL and its common extensions have them.
_VOLATILE = re.compile(
    r"\b(gen_random_uuid|gen_random_bytes|gen_salt|uuid_generate_v\w+|uuidv[47]|uuid[47]|randomuuid|random|"
    r"random_normal|clock_timestamp|timeofday|nextval|setval)\b",
    re.IGNORECASE,
)
_INTEGERS = ("smallint", "integer", "bigint")
# PostgreSQL's names of types for those that its parser and SQL use.
_NAMES = {
    "int2": "smallint",
    "int4": "integer",
    "int": "integer",
    "int8": "bigint",
    "smallserial": "smallint",
    "serial": "integer",
    "bigserial": "bigint",
    "character varying": "varchar",
    "bpchar": "char",
    "bool": "boolean",
    "float8": "double precision",
    "decimal": "numeric",
    "timestamptz": "timestamp with time zone",
}


def is_volatile(text: str) -> bool:
    """Return whether the SQL text calls a function that is known to differ from row to row."""
    return _VOLATILE.search(text) is not None


def has_volatile_default(field: Any) -> bool:
    """Return whether the field's db_default differs from row to row."""
    default = field.db_default if field.has_db_default() else None
    if not isinstance(default, Expression):
        return False
    return any(is_volatile(_spelled(each)) for each in default.flatten())


def _spelled(expression: Any) -> str:
    """Return the names and the texts that the expression makes its SQL of."""
    named = (getattr(expression, name, None) for name in ("function", "template", "sql"))
    return " ".join([type(expression).__name__, *(str(each) for each in named if each)])


def column_type(field: Any, state: ProjectState, connection: BaseDatabaseWrapper) -> str | None:
    """Return the type of the field's column; None if it cannot be told without the models.

    That of a foreign key is found in the state.
    """
    seen = 0
    declared = field
    while declared.is_relation:
        target = _target(declared, state)
        seen += 1
        if target is None or seen > len(state.models):
            return None
        declared = target
    try:
        own = declared.rel_db_type(connection) if declared is not field else None
        found = own or declared.db_type(connection)
    except Exception:  # noqa: BLE001 - a project's field may need the model that it is not bound to
        return None
    return None if found is None else normal_type(found)


def _target(field: Any, state: ProjectState) -> Any:
    """Return the field that the foreign key refers to."""
    model = field.remote_field.model
    label = model if isinstance(model, str) else model._meta.label
    found = state.models.get(tuple(label.lower().split(".", 1)))
    if found is None:
        return None
    chosen = (getattr(field, "to_fields", None) or [None])[0] or field.remote_field.field_name
    return found.fields.get(chosen) if chosen else primary_key(found, state)


def primary_key(model: ModelState, state: ProjectState) -> Any:
    """Return the field of the primary key, which may be that of a parent; None if none is declared."""
    own = next((each for each in model.fields.values() if each.primary_key), None)
    parents = (each for each in model.bases if isinstance(each, str))
    found = (state.models.get(tuple(each.lower().split(".", 1))) for each in parents)
    return own or next((primary_key(each, state) for each in found if each), None)


def normal_type(text: str) -> str:
    """Return the type by one name for those that PostgreSQL has for it, without spaces in brackets."""
    base, bracket, rest = text.lower().replace(" (", "(").partition("(")
    name = _NAMES.get(base.strip(), base.strip())
    return f"{name}{bracket}{rest.replace(' ', '')}"


def is_free(old: str, new: str) -> bool:
    """Return whether PostgreSQL changes the one type to the other in the catalog alone."""
    (base, limits), (new_base, new_limits) = _parsed(old), _parsed(new)
    if new_base == "text" or (new_base == "varchar" and not new_limits):
        return base in ("varchar", "text")
    if base != new_base:
        return False
    if base == "varchar":
        return bool(limits) and new_limits >= limits
    if base == "numeric":
        return not new_limits or (
            bool(limits) and limits[1:] == new_limits[1:] and new_limits >= limits
        )
    return limits == new_limits


def is_widened(old: str, new: str) -> bool:
    """Return whether the release before can go on with the new type, because it holds all of the old one."""
    if old in _INTEGERS and new in _INTEGERS:
        return _INTEGERS.index(new) >= _INTEGERS.index(old)
    return is_free(old, new)


def _parsed(text: str) -> tuple[str, list[int]]:
    base, _, rest = text.partition("(")
    numbers, _, tail = rest.partition(")")
    is_numbers = re.fullmatch(r"[\d,]+", numbers) is not None
    return f"{base}{tail}", [int(each) for each in numbers.split(",")] if is_numbers else []


def collation(field: Any) -> str:
    inner = field.base_field if isinstance(field, ArrayField) else field
    return str(getattr(inner, "db_collation", None) or "")


def is_indexed_or_unique(field: Any) -> tuple[bool, bool]:
    """Return whether the field has an index that is not unique, and whether it is unique."""
    is_unique = bool(field.unique)
    return bool(getattr(field, "db_index", False)) and not is_unique, is_unique


def db_check(field: Any, connection: BaseDatabaseWrapper) -> bool:
    """Return whether the field brings a check of its own, such as that of a positive number."""
    bound = field.clone()
    bound.set_attributes_from_name("any")  # its column is written into the check
    try:
        return not field.is_relation and bool(bound.db_check(connection))
    except Exception:  # noqa: BLE001 - as in column_type
        return False


def is_proved_not_null(model: ModelState, name: str) -> bool:
    """Return whether a check of the model refuses NULL in the field, which PostgreSQL takes as proof."""
    wanted = [Q(**{f"{name}__isnull": False})]
    return any(
        isinstance(each, CheckConstraint) and each.condition in wanted
        for each in model.options.get("constraints", ())
    )


def writes_null(field: Any) -> bool:
    """Return whether a release with this field writes NULL where it is given no value."""
    return bool(field.null and not field.has_default() and not field.has_db_default())


def leaves_null(field: Any) -> bool:
    """Return whether the column is NOT NULL and gets no value from an INSERT that does not name it."""
    has_value = field.null or field.has_db_default() or field.generated or field.many_to_many
    return not has_value
