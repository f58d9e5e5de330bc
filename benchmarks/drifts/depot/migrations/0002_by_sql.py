"""Objects of many kinds that no model declares."""

from typing import Any

from django.db import migrations

STATEMENTS = (
    "CREATE SCHEMA reports",
    "CREATE EXTENSION hstore",
    "CREATE TYPE mood AS ENUM ('sad', 'glad')",
    "CREATE TYPE pair AS (a integer, b text)",
    "CREATE DOMAIN percent AS integer DEFAULT 0 CHECK (VALUE BETWEEN 0 AND 100)",
    "CREATE TYPE span AS RANGE (subtype = float8)",
    "CREATE COLLATION plainly (locale = 'C')",
    "CREATE SEQUENCE tickets START 7 INCREMENT 3",
    (
        "CREATE TABLE log (id bigserial PRIMARY KEY, kind varchar(10) DEFAULT 'a', at date, "
        "bin_id bigint CONSTRAINT log_bin REFERENCES depot_bin, "
        "CONSTRAINT log_kind CHECK (kind IN ('a', 'b')))"
    ),
    "CREATE TABLE log_more (more integer) INHERITS (log)",
    "CREATE TABLE days (day date PRIMARY KEY, amount integer) PARTITION BY RANGE (day)",
    "CREATE TABLE days_2026 PARTITION OF days FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')",
    "CREATE TABLE rooms (during tsrange, half integer)",
    "ALTER TABLE rooms ADD CONSTRAINT rooms_alone EXCLUDE USING gist (during WITH &&)",
    "CREATE TABLE reports.daily (id integer PRIMARY KEY, total numeric)",
    "CREATE INDEX item_words ON depot_item USING gin (to_tsvector('simple', name)) WHERE state IN ('a', 'b')",
    "CREATE INDEX log_at ON log (at DESC)",
    "CREATE FUNCTION twice(a integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT a * 2'",
    "CREATE FUNCTION twice(a text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT a || a'",
    "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    "CREATE FUNCTION watched() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'",
    "CREATE PROCEDURE sweep() LANGUAGE sql AS 'DELETE FROM log'",
    "CREATE AGGREGATE product (integer) (sfunc = int4mul, stype = integer, initcond = '1')",
    "CREATE VIEW items AS SELECT i.id, i.name FROM depot_item i WHERE i.state IN ('new', 'old')",
    "CREATE VIEW guarded WITH (security_barrier) AS SELECT name, twice(amount) AS twofold FROM depot_item",
    "CREATE MATERIALIZED VIEW totals AS SELECT state, sum(amount) AS amount FROM depot_item GROUP BY state",
    "CREATE UNIQUE INDEX totals_state ON totals (state)",
    (
        "CREATE TRIGGER touched BEFORE UPDATE ON depot_item FOR EACH ROW WHEN (NEW.state = 'new') "
        "EXECUTE FUNCTION touch()"
    ),
    "CREATE RULE no_delete AS ON DELETE TO log DO INSTEAD NOTHING",
    "ALTER TABLE log ENABLE ROW LEVEL SECURITY",
    "CREATE POLICY own ON log FOR SELECT USING (kind IN ('a', 'b'))",
    "CREATE STATISTICS item_stats (dependencies) ON state, bin_id FROM depot_item",
    "COMMENT ON TABLE log IS 'what happened'",
    "COMMENT ON FUNCTION twice(integer) IS 'the double'",
    "CREATE EVENT TRIGGER watch ON ddl_command_end WHEN TAG IN ('CREATE DOMAIN') EXECUTE FUNCTION watched()",
    "CREATE TEXT SEARCH CONFIGURATION plain (COPY = simple)",
    "CREATE PUBLICATION changes FOR TABLE depot_bin",
    "ALTER TABLE depot_bin REPLICA IDENTITY FULL",
    "GRANT SELECT ON depot_item TO pg_monitor",
    "GRANT USAGE ON SCHEMA reports TO pg_monitor",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA reports GRANT SELECT ON TABLES TO pg_monitor",
)


def index(_: Any, editor: Any) -> None:
    editor.execute("CREATE INDEX by_python ON depot_bin (upper(code))")


class Migration(migrations.Migration):
    dependencies = [("depot", "0001_initial")]

    operations = [
        *(migrations.RunSQL(each, migrations.RunSQL.noop) for each in STATEMENTS),
        migrations.RunPython(index, migrations.RunPython.noop),
    ]
