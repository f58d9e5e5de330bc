"""Conditions in SQL for printed scripts, which ask the catalog when they run, not when they are printed.

Each takes quoted names for what PostgreSQL resolves and plain ones for what it compares.
"""

_HERE = "pg_catalog.current_schema()::pg_catalog.regnamespace"


def literal(text: str) -> str:
    """The text as an SQL string."""
    return "'" + text.replace("'", "''") + "'"


def has_table(table: str) -> str:
    """Whether the table stands where CREATE TABLE would put it."""
    if "." in table:
        return f"pg_catalog.to_regclass({literal(table)}) IS NOT NULL"
    return (
        f"EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid = pg_catalog.to_regclass({literal(table)}) "
        f"AND relnamespace = {_HERE})"
    )


def has_column(table: str, column: str) -> str:
    return (
        "EXISTS (SELECT FROM pg_catalog.pg_attribute WHERE NOT attisdropped "
        f"AND attrelid = pg_catalog.to_regclass({literal(table)}) AND attname = {literal(column)})"
    )


def has_not_null(table: str, column: str) -> str:
    return (
        "EXISTS (SELECT FROM pg_catalog.pg_attribute WHERE attnotnull "
        f"AND attrelid = pg_catalog.to_regclass({literal(table)}) AND attname = {literal(column)})"
    )


def has_type_of(table: str, column: str, type_name: str) -> str:
    """Whether the column has the type; its modifier is not compared, as printed types spell it."""
    return (
        "EXISTS (SELECT FROM pg_catalog.pg_attribute "
        f"WHERE attrelid = pg_catalog.to_regclass({literal(table)}) AND attname = {literal(column)} "
        f"AND pg_catalog.replace(pg_catalog.format_type(atttypid, atttypmod), ' ', '') "
        f"= {literal(type_name.replace(' ', ''))})"
    )


def has_constraint(table: str, name: str, *, validated: bool = False) -> str:
    return (
        "EXISTS (SELECT FROM pg_catalog.pg_constraint "
        f"WHERE conrelid = pg_catalog.to_regclass({literal(table)}) AND conname = {literal(name)}"
        f"{' AND convalidated' if validated else ''})"
    )


def has_index(table: str, name: str, *, valid: bool | None = None) -> str:
    condition = {None: "", True: " AND i.indisvalid", False: " AND NOT i.indisvalid"}[valid]
    return (
        "EXISTS (SELECT FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid "
        f"WHERE i.indrelid = pg_catalog.to_regclass({literal(table)}) "
        f"AND c.relname = {literal(name)}{condition})"
    )


def index_of(table: str, name: str) -> str:
    """The table's index of that name as SQL, resolved when the script runs."""
    return (
        "(SELECT i.indexrelid::pg_catalog.regclass::pg_catalog.text "  # noqa: S608 - a guard
        "FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid "
        f"WHERE i.indrelid = pg_catalog.to_regclass({literal(table)}) AND c.relname = {literal(name)})"
    )


def has_enum(name: str) -> str:
    """Whether the type stands where CREATE TYPE would put it."""
    return (
        f"EXISTS (SELECT FROM pg_catalog.pg_type WHERE oid = pg_catalog.to_regtype({literal(name)}) "
        f"AND typnamespace = {_HERE})"
    )


def has_label(enum: str, label: str) -> str:
    return (
        "EXISTS (SELECT FROM pg_catalog.pg_enum "
        f"WHERE enumtypid = pg_catalog.to_regtype({literal(enum)}) AND enumlabel = {literal(label)})"
    )


def uses_type(name: str) -> str:
    """Whether a column, a function or another object depends on the type or on its array type."""
    return (
        "EXISTS (SELECT FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_type t "
        "ON d.refobjid IN (t.oid, t.typarray) WHERE d.deptype = 'n' "
        "AND d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass "
        f"AND t.oid = pg_catalog.to_regtype({literal(name)}))"
    )


def refusal(message: str) -> str:
    """A statement that stops a script with the message."""
    body = f"BEGIN RAISE EXCEPTION USING MESSAGE = {literal(message)}; END"
    return f"DO {literal(body)}"


def refusal_if_any(table: str, condition: str, message: str) -> str:
    """A statement that stops if a row of the table meets the condition; SQLSTATE 22000."""
    body = (
        f"BEGIN IF EXISTS (SELECT FROM {table} WHERE {condition}) THEN "
        f"RAISE EXCEPTION USING ERRCODE = '22000', MESSAGE = {literal(message)}; END IF; END"
    )
    return f"DO {literal(body)}"


def either(*conditions: str) -> str:
    return " OR ".join(f"({condition})" for condition in conditions)


def negated(condition: str) -> str:
    return f"NOT ({condition})"
