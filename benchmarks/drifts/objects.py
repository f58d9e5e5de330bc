"""Drifts of what no model declares, and of health, made by hand to the migrated database of `depot`."""

from benchmarks.drifts.cases import Drift

TOUCHED = (
    "CREATE OR REPLACE TRIGGER touched {} UPDATE ON depot_item FOR EACH ROW WHEN ({}) "
    "EXECUTE FUNCTION touch()"
)
ITEMS = "CREATE OR REPLACE VIEW items AS SELECT i.id, i.name FROM depot_item i"
TOTALS = "DROP MATERIALIZED VIEW totals; CREATE MATERIALIZED VIEW totals AS SELECT state,"
LOG_KIND = "ALTER TABLE log DROP CONSTRAINT log_kind, ADD CONSTRAINT log_kind"
# 6,000 rows, of which an index that is packed a tenth full has more than 10 MB.
ROWS = (
    "INSERT INTO depot_bin (code, note) VALUES ('a', '');"
    "INSERT INTO depot_item (name, state, amount, bin_id) "
    "SELECT repeat(md5(n::text), 6), 'x', 0, b.id FROM depot_bin b, generate_series(1, 6000) n;"
    "SET CONSTRAINTS ALL IMMEDIATE"
)

_DRIFTS = (
    # Triggers.
    ("trigger missing", "DROP TRIGGER touched ON depot_item", "touched"),
    ("trigger disabled", "ALTER TABLE depot_item DISABLE TRIGGER touched", "touched"),
    (
        "trigger for replicas alone",
        "ALTER TABLE depot_item ENABLE REPLICA TRIGGER touched",
        "touched",
    ),
    (
        "trigger of another time",
        TOUCHED.format("AFTER", "NEW.state = 'new'"),
        "touched",
    ),
    (
        "trigger of another condition",
        TOUCHED.format("BEFORE", "NEW.state = 'old'"),
        "touched",
    ),
    (
        "trigger too much",
        "CREATE TRIGGER hotfix BEFORE INSERT ON depot_bin FOR EACH ROW EXECUTE FUNCTION touch()",
        "hotfix",
    ),
    (
        "trigger on a table of Django's",
        "CREATE TRIGGER hotfix BEFORE INSERT ON auth_user FOR EACH ROW EXECUTE FUNCTION touch()",
        "hotfix",
    ),
    (
        "triggers of a foreign key disabled",
        "ALTER TABLE depot_item DISABLE TRIGGER ALL",
        "bin_id",
        "depot_item_bin_id_",
        "touched",
    ),
    ("event trigger disabled", "ALTER EVENT TRIGGER watch DISABLE", "watch"),
    ("event trigger missing", "DROP EVENT TRIGGER watch", "watch"),
    (
        "event trigger too much",
        "CREATE EVENT TRIGGER hotfix ON sql_drop EXECUTE FUNCTION watched()",
        "hotfix",
    ),
    ("rule missing", "DROP RULE no_delete ON log", "no_delete"),
    # Functions.
    ("function missing", "DROP FUNCTION twice(text)", "twice"),
    (
        "function of another body",
        "CREATE OR REPLACE FUNCTION twice(a integer) RETURNS integer IMMUTABLE LANGUAGE sql AS 'SELECT a*3'",
        "twice",
    ),
    ("function no longer IMMUTABLE", "ALTER FUNCTION twice(text) VOLATILE", "twice"),
    ("function SECURITY DEFINER", "ALTER FUNCTION touch() SECURITY DEFINER", "touch"),
    ("function with a setting", "ALTER FUNCTION touch() SET search_path = reports", "touch"),
    (
        "function too much",
        "CREATE FUNCTION hotfix() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        "hotfix",
    ),
    ("procedure missing", "DROP PROCEDURE sweep()", "sweep"),
    ("aggregate missing", "DROP AGGREGATE product (integer)", "product"),
    # Views.
    ("view missing", "DROP VIEW items", "items"),
    ("view of another condition", f"{ITEMS} WHERE i.state = 'new'", "items"),
    ("view with a column more", ITEMS.replace(" FROM", ", i.amount FROM"), "items"),
    ("view without its security barrier", "ALTER VIEW guarded RESET (security_barrier)", "guarded"),
    ("view by the rights of its reader", "ALTER VIEW items SET (security_invoker)", "items"),
    ("view too much", "CREATE VIEW hotfix AS SELECT 1 AS one", "hotfix"),
    ("materialized view missing", "DROP MATERIALIZED VIEW totals", "totals"),
    (
        "materialized view of another query",
        (
            f"{TOTALS} max(amount) AS amount FROM depot_item GROUP BY state;"
            "CREATE UNIQUE INDEX totals_state ON totals (state)"
        ),
        "totals",
    ),
    ("index of a materialized view missing", "DROP INDEX totals_state", "totals_state"),
    ("materialized view too much", "CREATE MATERIALIZED VIEW hotfix AS SELECT 1 AS one", "hotfix"),
    # Rights of rows.
    ("policy missing", "DROP POLICY own ON log", "own"),
    ("policy of another condition", "ALTER POLICY own ON log USING (true)", "own"),
    ("policy of other roles", "ALTER POLICY own ON log TO pg_monitor", "own"),
    (
        "policy of other commands",
        "DROP POLICY own ON log; CREATE POLICY own ON log USING (kind IN ('a', 'b'))",
        "own",
    ),
    ("policy too much", "CREATE POLICY hotfix ON log", "hotfix"),
    ("row security disabled", "ALTER TABLE log DISABLE ROW LEVEL SECURITY", "log"),
    ("row security forced", "ALTER TABLE log FORCE ROW LEVEL SECURITY", "log"),
    (
        "row security of a table of Django's",
        "ALTER TABLE auth_group ENABLE ROW LEVEL SECURITY",
        "auth_group",
    ),
    # Rights.
    ("grant lost", "REVOKE SELECT ON depot_item FROM pg_monitor", "depot_item"),
    ("grant too much", "GRANT DELETE ON depot_bin TO pg_monitor", "depot_bin"),
    ("grant to everybody", "GRANT SELECT ON auth_user TO PUBLIC", "auth_user"),
    ("grant of a column", "GRANT SELECT (note) ON depot_bin TO pg_monitor", "note", "depot_bin"),
    ("grant of a schema lost", "REVOKE USAGE ON SCHEMA reports FROM pg_monitor", "reports"),
    ("grant of a function lost", "REVOKE EXECUTE ON FUNCTION twice(text) FROM PUBLIC", "twice"),
    (
        "default privileges lost",
        "ALTER DEFAULT PRIVILEGES IN SCHEMA reports REVOKE SELECT ON TABLES FROM pg_monitor",
        "reports",
        "default privileges",
    ),
    (
        "default privileges too much",
        "ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO pg_monitor",
        "functions",
        "FUNCTIONS",
        "default privileges",
    ),
    # Types.
    ("value of an enum too much", "ALTER TYPE mood ADD VALUE 'mad'", "mood"),
    ("enum of plain SQL missing", "DROP TYPE mood", "mood"),
    ("enum too much", "CREATE TYPE hotfix AS ENUM ('new')", "hotfix"),
    ("attribute of a composite type too much", "ALTER TYPE pair ADD ATTRIBUTE c date", "pair"),
    ("composite type missing", "DROP TYPE pair", "pair"),
    ("domain without its check", "ALTER DOMAIN percent DROP CONSTRAINT percent_check", "percent"),
    ("domain NOT NULL", "ALTER DOMAIN percent SET NOT NULL", "percent"),
    ("domain of another default", "ALTER DOMAIN percent SET DEFAULT 1", "percent"),
    ("range type missing", "DROP TYPE span", "span"),
    ("collation too much", "CREATE COLLATION hotfix (locale = 'POSIX')", "hotfix"),
    # Sequences.
    ("sequence of another increment", "ALTER SEQUENCE tickets INCREMENT 5", "tickets"),
    ("sequence that begins again", "ALTER SEQUENCE tickets CYCLE", "tickets"),
    ("sequence missing", "DROP SEQUENCE tickets", "tickets"),
    ("sequence too much", "CREATE SEQUENCE hotfix", "hotfix"),
    (
        "sequence that ends before its column",
        "ALTER SEQUENCE depot_bin_id_seq AS integer",
        "depot_bin_id_seq",
    ),
    # Extensions, schemas, statistics and others.
    ("extension missing", "DROP EXTENSION hstore", "hstore"),
    ("extension too much", "CREATE EXTENSION citext", "citext"),
    ("extension in another schema", "ALTER EXTENSION hstore SET SCHEMA reports", "hstore"),
    ("schema missing", "DROP SCHEMA reports CASCADE", "reports"),
    ("extended statistics missing", "DROP STATISTICS item_stats", "item_stats"),
    (
        "extended statistics of other columns",
        "DROP STATISTICS item_stats; CREATE STATISTICS item_stats (dependencies) ON id, name FROM depot_item",
        "item_stats",
    ),
    (
        "extended statistics too much",
        "CREATE STATISTICS hotfix ON code, note FROM depot_bin",
        "hotfix",
    ),
    ("publication of a table more", "ALTER PUBLICATION changes ADD TABLE depot_item", "changes"),
    ("publication missing", "DROP PUBLICATION changes", "changes"),
    ("text search configuration missing", "DROP TEXT SEARCH CONFIGURATION plain", "plain"),
    # Comments.
    ("comment on a column lost", "COMMENT ON COLUMN depot_bin.note IS NULL", "note"),
    ("comment of plain SQL changed", "COMMENT ON TABLE log IS 'of wood'", "log"),
    ("comment on a function lost", "COMMENT ON FUNCTION twice(integer) IS NULL", "twice"),
    # Tables.
    ("table too much", "CREATE TABLE hotfix (id integer PRIMARY KEY)", "hotfix"),
    ("table of plain SQL missing", "DROP TABLE rooms", "rooms"),
    ("table of another schema missing", "DROP TABLE reports.daily", "daily"),
    ("column of such a table too much", "ALTER TABLE rooms ADD hotfix integer", "hotfix"),
    ("column of such a table of another type", "ALTER TABLE rooms ALTER half TYPE bigint", "half"),
    ("default of such a table changed", "ALTER TABLE log ALTER kind SET DEFAULT 'b'", "kind"),
    ("check of such a table changed", f"{LOG_KIND} CHECK (kind IN ('a', 'c'))", "log_kind", "kind"),
    (
        "check of such a table NOT VALID",
        f"{LOG_KIND} CHECK (kind IN ('a', 'b')) NOT VALID",
        "log_kind",
        "kind",
    ),
    (
        "exclusion of such a table missing",
        "ALTER TABLE rooms DROP CONSTRAINT rooms_alone",
        "rooms_alone",
    ),
    (
        "foreign key of such a table missing",
        "ALTER TABLE log DROP CONSTRAINT log_bin",
        "log_bin",
        "bin_id",
    ),
    (
        "primary key of such a table missing",
        "ALTER TABLE log DROP CONSTRAINT log_pkey",
        "log_pkey",
    ),
    ("inheritance lost", "ALTER TABLE log_more NO INHERIT log", "log_more"),
    ("partition detached", "ALTER TABLE days DETACH PARTITION days_2026", "days_2026"),
    ("table of a model UNLOGGED", "ALTER TABLE depot_item SET UNLOGGED", "depot_item"),
    ("table of plain SQL UNLOGGED", "ALTER TABLE rooms SET UNLOGGED", "rooms"),
    ("replica identity lost", "ALTER TABLE depot_bin REPLICA IDENTITY DEFAULT", "depot_bin"),
    # Indexes.
    ("index of plain SQL missing", "DROP INDEX item_words", "item_words"),
    ("index of RunPython missing", "DROP INDEX by_python", "by_python"),
    (
        "index of plain SQL in another order",
        "DROP INDEX log_at; CREATE INDEX log_at ON log (at)",
        "log_at",
    ),
    (
        "index of plain SQL of another part",
        (
            "DROP INDEX item_words; CREATE INDEX item_words ON depot_item "
            "USING gin (to_tsvector('simple', name)) WHERE state = 'new'"
        ),
        "item_words",
    ),
    (
        "index of plain SQL invalid",
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'totals_state'::regclass",
        "totals_state",
    ),
    # Health.
    (
        "sequence behind its column",
        "INSERT INTO depot_bin (id, code, note) VALUES (7, 'a', '')",
        "depot_bin_id_seq",
    ),
    (
        "key close to the end of its type",
        "ALTER SEQUENCE depot_item_id_seq RESTART 2000000000; SELECT nextval('depot_item_id_seq')",
        "depot_item_id_seq",
    ),
    (
        "index that another one contains",
        f"{ROWS}; ALTER INDEX item_name SET (fillfactor = 10); REINDEX INDEX item_name",
        "item_name",
    ),
)

_CONTROLS = (
    (
        "a view as a dump restores it",
        (
            "DROP VIEW items; CREATE VIEW items AS SELECT id, name FROM depot_item i WHERE ((state)::text = "
            "ANY ((ARRAY['new'::character varying, 'old'::character varying])::text[]))"
        ),
        "items",
    ),
    (
        "a trigger made again",
        (
            "DROP TRIGGER touched ON depot_item; CREATE TRIGGER touched BEFORE UPDATE ON depot_item "
            "FOR EACH ROW WHEN ((NEW.state)::text = 'new') EXECUTE PROCEDURE touch()"
        ),
        "touched",
    ),
    (
        "a function made again",
        "CREATE OR REPLACE FUNCTION twice(a text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT a || a'",
        "twice",
    ),
    (
        "a check of plain SQL as a dump restores it",
        (
            f"{LOG_KIND} CHECK (((kind)::text = ANY "
            "((ARRAY['a'::character varying, 'b'::character varying])::text[])))"
        ),
        "log_kind",
    ),
    (
        "a partition more, as a job makes it",
        "CREATE TABLE days_2027 PARTITION OF days FOR VALUES FROM ('2027-01-01') TO ('2028-01-01')",
        "days_2027",
    ),
    ("a schema of somebody else", "CREATE SCHEMA hotfix", "hotfix"),
    (
        "a sequence that was used",
        "SELECT nextval('tickets'), nextval('depot_bin_id_seq')",
        "tickets",
    ),
    (
        "rows, and a materialized view that was refreshed",
        "INSERT INTO depot_bin (code, note) VALUES ('a', ''); REFRESH MATERIALIZED VIEW totals",
        "totals",
    ),
    ("a grant given twice", "GRANT SELECT ON depot_item TO pg_monitor", "depot_item"),
    ("a temporary table", "CREATE TEMPORARY TABLE hotfix (id integer)", "hotfix"),
    ("an index built again", "REINDEX TABLE depot_item", "depot_item"),
    (
        "an index of a materialized view made again",
        "DROP INDEX totals_state; CREATE UNIQUE INDEX totals_state ON totals USING btree (state ASC)",
        "totals_state",
    ),
)

OBJECT_DRIFTS = (
    *(Drift(what, sql, tuple(names)) for what, sql, *names in _DRIFTS),
    Drift(
        "check of such a table NOT ENFORCED",
        f"{LOG_KIND} CHECK (kind IN ('a', 'b')) NOT ENFORCED",
        ("log_kind", "kind"),
        since=18,
    ),
    Drift(
        "collation of another version",
        "ALTER TABLE depot_bin ALTER code TYPE varchar(20) COLLATE pg_c_utf8;"
        "UPDATE pg_collation SET collversion = '0.1' WHERE collname = 'pg_c_utf8'",
        ("pg_c_utf8",),
        since=17,
    ),
    *(
        Drift(f"control: {what}", sql, tuple(names), is_drift=False)
        for what, sql, *names in _CONTROLS
    ),
)
