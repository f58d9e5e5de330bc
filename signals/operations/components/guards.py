"""SQL conditions for printed scripts, which ask the catalog when they run, not when they are printed.

Names of tables and types are quoted, because PostgreSQL resolves them. Names of columns, constraints and
indexes, and labels, are plain, because they are compared with the catalog.
"""

from collections.abc import Iterable, Sequence

from ..catalog.records import RECORDER_TABLE
from ..errors import REFUSAL
from ..names import NAME, PROBE_TABLE
from ..statements import Statement

NEVER = "false"  # for a step that leaves nothing in the catalog by which to tell that it is done

# The place where CREATE would put it, or any place of the search_path unless that one has records of its own.
_IS_OWN = (
    "n.nspname = pg_catalog.current_schema() OR NOT EXISTS (SELECT FROM pg_catalog.pg_tables "
    f"WHERE tablename = {RECORDER_TABLE!r} AND schemaname = pg_catalog.current_schema())"
)

# The names of the columns that are keys of the index `i`; a key that is an expression has none.
_KEYS = (
    "ARRAY(SELECT a.attname::pg_catalog.text FROM pg_catalog.generate_series(1, i.indnkeyatts) u "
    "JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[u - 1] "
    "ORDER BY u)"
)

# That queries by the index `i` get what one by its columns alone would give them.
_IS_PLAIN = (
    "i.indnatts = i.indnkeyatts AND 0 = ALL (i.indoption) "
    "AND NOT EXISTS (SELECT FROM pg_catalog.pg_opclass o "
    "WHERE o.oid = ANY (i.indclass) AND o.opcname LIKE '%pattern_ops')"
)


def literal(text: str) -> str:
    """Return the text as an SQL string that means the same whatever standard_conforming_strings is."""
    quoted = "'" + text.replace("'", "''") + "'"
    return "E" + quoted.replace("\\", "\\\\") if "\\" in text else quoted


def has_table(table: str) -> str:
    """Return the condition that the table exists where CREATE TABLE would put it, or further back.

    Further back it is another one if the migrations of the current schema are recorded there.
    """
    if "." in table:
        return f"pg_catalog.to_regclass({literal(table)}) IS NOT NULL"
    return (
        "EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
        f"WHERE c.oid = pg_catalog.to_regclass({literal(table)}) AND ({_IS_OWN}))"
    )


def is_filled(table: str) -> str:
    """Return the condition that the table, which exists, has a row."""
    return f"EXISTS (SELECT FROM {table})"


def is_partitioned(table: str) -> str:
    """Return the condition that the table is partitioned."""
    return (
        "EXISTS (SELECT FROM pg_catalog.pg_partitioned_table "
        f"WHERE partrelid = pg_catalog.to_regclass({literal(table)}))"
    )


def has_column(table: str, column: str) -> str:
    """Return the condition that the table has the column."""
    return (
        "EXISTS (SELECT FROM pg_catalog.pg_attribute WHERE NOT attisdropped "
        f"AND attrelid = pg_catalog.to_regclass({literal(table)}) AND attname = {literal(column)})"
    )


def has_not_null(table: str, column: str) -> str:
    """Return the condition that the table's column is NOT NULL."""
    return (
        "EXISTS (SELECT FROM pg_catalog.pg_attribute WHERE attnotnull "
        f"AND attrelid = pg_catalog.to_regclass({literal(table)}) AND attname = {literal(column)})"
    )


def has_unique_on(table: str, columns: Sequence[str]) -> str:
    """Return the condition that a valid index makes the columns unique, in any order and of any name."""
    keys = ", ".join(map(literal, columns))
    kind = f"i.indisunique AND i.indimmediate AND i.indnkeyatts = {len(columns)}"
    return _has_keys(table, f"{kind} AND {_KEYS} @> ARRAY[{keys}]")


def has_index_on(table: str, columns: Sequence[str], operator_class: str = "") -> str:
    """Return the condition that a valid B-tree has the columns as its ascending keys, whatever its name.

    operator_class: that of its first key; if none is given, any but those for patterns will do.
    """
    keys = ", ".join(map(literal, columns))
    its_class = f"= {literal(operator_class)}" if operator_class else "NOT LIKE '%pattern_ops'"
    return _has_keys(
        table,
        f"0 = ALL (i.indoption) AND {_KEYS} = ARRAY[{keys}] AND EXISTS (SELECT FROM "
        f"pg_catalog.pg_opclass o WHERE o.oid = i.indclass[0] AND o.opcname {its_class}) "
        "AND EXISTS (SELECT FROM pg_catalog.pg_class x JOIN pg_catalog.pg_am m ON m.oid = x.relam "
        "WHERE x.oid = i.indexrelid AND m.amname = 'btree')",
    )


def drops_of_indexes_on(
    table: str, columns: Sequence[str], declared: Iterable[str], *, unique: bool, exactly: bool
) -> str:
    """Return a SELECT without WHERE, for Statement.question, of the SQL that drops indexes on the columns.

    They are the B-trees without a condition on these columns that are unique, or not.

    declared: the names of those that stay. exactly: whether the columns must be in this order.
    """
    step = (
        "CASE WHEN k.conname IS NOT NULL "
        f"THEN {literal(f'ALTER TABLE {table} DROP CONSTRAINT ')} || pg_catalog.quote_ident(k.conname) "
        f"ELSE CASE WHEN {is_partitioned(table)} THEN 'DROP INDEX ' ELSE 'DROP INDEX CONCURRENTLY ' END "
        "|| i.indexrelid::pg_catalog.regclass::pg_catalog.text END"
    )
    return _step_for_each(step, table, columns, declared, unique=unique, exactly=exactly)


def rename_of_index_on(
    table: str, columns: Sequence[str], declared: Iterable[str], name: str
) -> str:
    """Return a SELECT without WHERE, for Statement.question, of the SQL that gives an index the quoted name.

    It is a B-tree without a condition on these columns that is not unique. declared: as above.
    """
    step = (
        "'ALTER INDEX ' || i.indexrelid::pg_catalog.regclass::pg_catalog.text || "
        f"{literal(f' RENAME TO {name}')}"
    )
    every = _step_for_each(step, table, columns, declared, unique=False, exactly=True)
    return f"SELECT f.step FROM ({every} LIMIT 1) f"


def _step_for_each(  # noqa: PLR0913 - the step, and which indexes it is for
    step: str,
    table: str,
    columns: Sequence[str],
    declared: Iterable[str],
    *,
    unique: bool,
    exactly: bool,
) -> str:
    """Return a SELECT of the step for each index `i` on the columns, and its constraint `k` if it has one."""
    keys = f"ARRAY[{', '.join(map(literal, columns))}]"
    is_on = f"{_KEYS} = {keys}" if exactly else f"{_KEYS} @> {keys}"
    named = "".join(f" AND x.relname <> {literal(name)}" for name in sorted(declared))
    kind = "i.indisunique" if unique else f"NOT i.indisunique AND {_IS_PLAIN}"
    return (
        f"SELECT d.step FROM (SELECT {step} AS step "
        "FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid "
        "JOIN pg_catalog.pg_am m ON m.oid = x.relam AND m.amname = 'btree' "
        "LEFT JOIN pg_catalog.pg_constraint k ON k.conrelid = i.indrelid AND k.conindid = i.indexrelid "
        f"AND k.contype = 'u' WHERE i.indrelid = pg_catalog.to_regclass({literal(table)}) "
        f"AND {kind} AND NOT i.indisprimary AND i.indpred IS NULL "
        f"AND i.indnkeyatts = {len(columns)} AND {is_on}{named}) d"
    )


def _has_keys(table: str, condition: str) -> str:
    return (
        "EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indisvalid AND i.indpred IS NULL "
        f"AND i.indrelid = pg_catalog.to_regclass({literal(table)}) AND {condition})"
    )


def unless_of_type(table: str, column: str, type_name: str, sql: str) -> str:
    """Return a statement that executes the SQL unless the column has the type, and its collation.

    The type may be spelled in any way: a temporary table with a column of that type is compared. type_name:
    with the COLLATE behind it, if any.
    """
    probe = f"pg_temp.{PROBE_TABLE}"
    body = (
        f"BEGIN CREATE TEMPORARY TABLE {PROBE_TABLE} (wanted {type_name}); "
        "IF NOT EXISTS (SELECT FROM pg_catalog.pg_attribute f JOIN pg_catalog.pg_attribute w "
        "ON (f.atttypid, f.atttypmod, f.attcollation) = (w.atttypid, w.atttypmod, w.attcollation) "
        f"WHERE f.attrelid = pg_catalog.to_regclass({literal(table)}) AND f.attname = {literal(column)} "
        f"AND w.attrelid = {literal(probe)}::pg_catalog.regclass AND w.attname = 'wanted') "
        f"THEN EXECUTE {literal(sql)}; END IF; DROP TABLE {probe}; END"
    )
    return f"DO {literal(body)}"


def alter_serial(table: str, column: str, type_name: str) -> str:
    """Return a statement that gives the type to the sequence which the column owns too, if there is one."""
    owned = f"pg_catalog.pg_get_serial_sequence({literal(table)}, {literal(column)})"
    alter = f"pg_catalog.format('ALTER SEQUENCE %s AS {type_name}', {owned})"
    return f"DO {literal(f'BEGIN IF {owned} IS NOT NULL THEN EXECUTE {alter}; END IF; END')}"


def has_constraint(table: str, name: str, *, validated: bool = False) -> str:
    """Return the condition that the table has the constraint, and, if asked for, that it is validated."""
    return (
        "EXISTS (SELECT FROM pg_catalog.pg_constraint "
        f"WHERE conrelid = pg_catalog.to_regclass({literal(table)}) AND conname = {literal(name)}"
        f"{' AND convalidated' if validated else ''})"
    )


def has_trigger(table: str, name: str) -> str:
    """Return the condition that the table has the trigger."""
    return (
        "EXISTS (SELECT FROM pg_catalog.pg_trigger "
        f"WHERE tgrelid = pg_catalog.to_regclass({literal(table)}) AND tgname = {literal(name)})"
    )


def has_foreign_key(table: str, column: str, target: str, target_column: str) -> str:
    """Return the condition that the column has a foreign key to the other one, whatever the key's name."""
    return (
        "EXISTS (SELECT FROM pg_catalog.pg_constraint k "
        "JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND k.conkey = ARRAY[a.attnum] "
        "JOIN pg_catalog.pg_attribute b ON b.attrelid = k.confrelid AND k.confkey = ARRAY[b.attnum] "
        f"WHERE k.contype = 'f' AND k.conrelid = pg_catalog.to_regclass({literal(table)}) "
        f"AND k.confrelid = pg_catalog.to_regclass({literal(target)}) "
        f"AND a.attname = {literal(column)} AND b.attname = {literal(target_column)})"
    )


def has_index(table: str, name: str, *, valid: bool | None = None) -> str:
    """Return the condition that the table has the index; valid: and that it is valid, or invalid if False."""
    condition = {None: "", True: " AND i.indisvalid", False: " AND NOT i.indisvalid"}[valid]
    return (
        "EXISTS (SELECT FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid "
        f"WHERE i.indrelid = pg_catalog.to_regclass({literal(table)}) "
        f"AND c.relname = {literal(name)}{condition})"
    )


def has_comment(table: str, column: str, text: str | None) -> str:
    """Return the condition that the table, or its column, has the comment; None or '': that it has none."""
    oid = f"pg_catalog.to_regclass({literal(table)})"
    found = f"pg_catalog.obj_description({oid}, 'pg_class')"
    if column:
        found = (
            "(SELECT pg_catalog.col_description(attrelid, attnum) FROM pg_catalog.pg_attribute "
            f"WHERE attrelid = {oid} AND attname = {literal(column)})"
        )
    return f"{found} IS NOT DISTINCT FROM {literal(text) if text else 'NULL'}"


def has_primary_key(table: str) -> str:
    """Return the condition that the table has a primary key."""
    return (
        "EXISTS (SELECT FROM pg_catalog.pg_index WHERE indisprimary "
        f"AND indrelid = pg_catalog.to_regclass({literal(table)}))"
    )


def index_of(table: str, name: str) -> str:
    """Return an SQL expression for the index of that name as DROP INDEX needs it: quoted, with its schema."""
    return (
        "(SELECT i.indexrelid::pg_catalog.regclass::pg_catalog.text "
        "FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid "
        f"WHERE i.indrelid = pg_catalog.to_regclass({literal(table)}) AND c.relname = {literal(name)})"
    )


def has_enum(name: str) -> str:
    """Return the condition that the type exists where CREATE TYPE would put it, or further back."""
    return (
        "EXISTS (SELECT FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace "
        f"WHERE t.oid = pg_catalog.to_regtype({literal(name)}) AND ({_IS_OWN}))"
    )


def has_label(enum: str, label: str) -> str:
    """Return the condition that the enum type has the label."""
    return (
        "EXISTS (SELECT FROM pg_catalog.pg_enum "
        f"WHERE enumtypid = pg_catalog.to_regtype({literal(enum)}) AND enumlabel = {literal(label)})"
    )


def before_first_label(enum: str) -> str:
    """Return an SQL expression for the BEFORE clause that makes a new label the first of the enum."""
    return (
        "COALESCE((SELECT ' BEFORE ' || pg_catalog.quote_literal(enumlabel) "
        f"FROM pg_catalog.pg_enum WHERE enumtypid = pg_catalog.to_regtype({literal(enum)}) "
        "ORDER BY enumsortorder LIMIT 1), '')"
    )


def uses_type(name: str) -> str:
    """Return the condition that a column, a function or another object depends on the type or its array."""
    return (
        "EXISTS (SELECT FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_type t "
        "ON d.refobjid IN (t.oid, t.typarray) WHERE d.deptype = 'n' "
        "AND d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass "
        f"AND t.oid = pg_catalog.to_regtype({literal(name)}))"
    )


def is_nondeterministic(collation: str) -> str:
    """Return the condition that different texts may be equal under the collation."""
    return (
        "EXISTS (SELECT FROM pg_catalog.pg_collation "
        f"WHERE collname = {literal(collation)} AND NOT collisdeterministic)"
    )


def refusal(message: str) -> str:
    """Return a statement that stops a script with the message."""
    body = f"BEGIN RAISE EXCEPTION USING MESSAGE = {literal(message)}; END"
    return f"DO {literal(body)}"


def refusal_if_any(table: str, condition: str, message: str) -> str:
    """Return a statement that fails with the message if a row of the table meets the SQL condition.

    Its SQLSTATE is 22000. It fails as well if row level security would hide rows from the current role, and
    with the message if the condition has a cast that does not exist; of an empty table that is not asked.
    """
    refuse = f"RAISE EXCEPTION USING ERRCODE = '{REFUSAL}', MESSAGE = {literal(message)};"
    body = (
        "BEGIN PERFORM pg_catalog.set_config('row_security', 'off', true); "
        f"IF EXISTS (SELECT FROM {table}) THEN "
        f"BEGIN IF EXISTS (SELECT FROM {table} WHERE {condition}) THEN {refuse} END IF; "
        f"EXCEPTION WHEN cannot_coerce THEN {refuse} END; END IF; END"
    )
    return f"DO {literal(body)}"


def refusal_unless_empty(table: str, message: str) -> str:
    """Return a statement that fails with the message if the table has a row, under ACCESS EXCLUSIVE.

    PostgreSQL looks for the rows that violate a new check with a snapshot of its own, taken under the lock,
    also in REPEATABLE READ and SERIALIZABLE. The check goes with the table.
    """
    body = (
        f"BEGIN ALTER TABLE {table} ADD CONSTRAINT {NAME}_empty CHECK (false); "
        "EXCEPTION WHEN check_violation THEN "
        f"RAISE EXCEPTION USING ERRCODE = '{REFUSAL}', MESSAGE = {literal(message)}; END"
    )
    return f"DO {literal(body)}"


def refusal_if_filled(table: str, sqlstate: str) -> str:
    """Return a statement that fails with the SQLSTATE if the table has a row."""
    body = (
        f"BEGIN IF EXISTS (SELECT FROM {table}) THEN RAISE EXCEPTION USING "
        f"ERRCODE = {literal(sqlstate)}, MESSAGE = 'rows have come'; END IF; END"
    )
    return f"DO {literal(body)}"


def either(*conditions: str) -> str:
    """Return the condition that at least one of the conditions holds."""
    return " OR ".join(f"({condition})" for condition in conditions)


def negated(condition: str) -> str:
    """Return the condition that the given one does not hold."""
    return f"NOT ({condition})"


def guarded(statement: Statement) -> str:
    """Return the step for psql, whose \\gexec executes it unless the catalog shows that it is done."""
    question = statement.question or f"SELECT {literal(statement.sql)}"
    return f"{question} WHERE NOT ({statement.unless}) \\gexec"
