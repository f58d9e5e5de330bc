"""What the catalog of a database says of a schema."""

from tests.postgres.databases import Database, Row

_SCHEMAS = r"nspname NOT LIKE 'pg\_%' AND nspname NOT IN ('information_schema', 'harness')"

FACTS = {
    "columns": f"""
        SELECT n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
            a.attidentity <> '' OR coalesce(pg_get_expr(d.adbin, d.adrelid) LIKE 'nextval(%', false),
            CASE WHEN pg_get_expr(d.adbin, d.adrelid) LIKE 'nextval(%' THEN NULL
                 ELSE pg_get_expr(d.adbin, d.adrelid) END
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace
        LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
        WHERE {_SCHEMAS} AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
    """,
    "constraints": f"""
        SELECT n.nspname, conrelid::regclass::text, conname, contype, convalidated,
            pg_get_constraintdef(k.oid)
        FROM pg_constraint k JOIN pg_namespace n ON n.oid = connamespace
        WHERE {_SCHEMAS} AND contype <> 'n'
    """,
    "indexes": f"""
        SELECT n.nspname, indrelid::regclass::text, c.relname, indisvalid, pg_get_indexdef(c.oid)
        FROM pg_index JOIN pg_class c ON c.oid = indexrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {_SCHEMAS}
    """,
    "sequences": f"""
        SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE {_SCHEMAS} AND c.relkind = 'S'
    """,
    "types": f"""
        SELECT n.nspname, t.typname, array_to_string(ARRAY(SELECT enumlabel FROM pg_enum
            WHERE enumtypid = t.oid ORDER BY enumsortorder), ' ')
        FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
        WHERE {_SCHEMAS} AND t.typtype IN ('e', 'd')
    """,
}


def facts(database: Database, schema: str = "public") -> dict[str, set[Row]]:
    """Return what the schema holds, as PostgreSQL prints it, without the tables of Django and Alembic."""
    found = {}
    with database.connect() as session:
        session.execute("SELECT set_config('search_path', quote_ident(%s), false)", [schema])
        for name, question in FACTS.items():
            found[name] = {
                row[1:]
                for row in session.execute(question.encode()).fetchall()
                if row[0] == schema and not str(row[1]).startswith("django_migrations")
            }
    return found


def catalog_versions(database: Database, schema: str = "") -> set[Row]:
    """Return every row of the catalog that DDL on tables, indexes and types writes, with its version.

    Equal before and after where no DDL was sent, even DDL that changes nothing to the eye.
    """
    chosen = "coalesce(nullif(current_setting('harness.schema', true), ''), nspname)"
    namespaces = f"(SELECT oid FROM pg_namespace WHERE {_SCHEMAS} AND nspname = {chosen})"
    classes = f"(SELECT oid FROM pg_class WHERE relnamespace IN {namespaces})"
    question = f"""
        SELECT 'class', oid::text, xmin::text FROM pg_class WHERE relnamespace IN {namespaces}
        UNION ALL SELECT 'attribute', attrelid || '.' || attnum, xmin::text FROM pg_attribute
            WHERE attrelid IN {classes}
        UNION ALL SELECT 'default', oid::text, xmin::text FROM pg_attrdef WHERE adrelid IN {classes}
        UNION ALL SELECT 'index', indexrelid::text, xmin::text FROM pg_index
            WHERE indrelid IN {classes}
        UNION ALL SELECT 'constraint', oid::text, xmin::text FROM pg_constraint
            WHERE connamespace IN {namespaces}
        UNION ALL SELECT 'type', oid::text, xmin::text FROM pg_type WHERE typnamespace IN {namespaces}
        UNION ALL SELECT 'label', e.oid::text, e.xmin::text FROM pg_enum e
            JOIN pg_type t ON t.oid = e.enumtypid WHERE t.typnamespace IN {namespaces}
    """
    with database.connect() as session:
        session.execute("SELECT set_config('harness.schema', %s, false)", [schema])
        return set(session.execute(question.encode()).fetchall())
