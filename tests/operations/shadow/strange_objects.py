"""SQL that makes objects with strange names and of rare kinds."""

# A table of such names, and what may be on one.
NAMES = r'''
CREATE SCHEMA "Other.Schema";
CREATE TABLE "Weird ""Table"".x" (
    "Id" bigint GENERATED ALWAYS AS IDENTITY (START 5 INCREMENT 2) PRIMARY KEY,
    "größe" numeric(10, 2) DEFAULT 1.50, "100%" text DEFAULT '50%', "Desc" text,
    twice numeric GENERATED ALWAYS AS ("größe" * 2) STORED,
    CONSTRAINT "a ""check""" CHECK ("100%" NOT LIKE '%x%'));
CREATE UNIQUE INDEX "Idx ""1""" ON "Weird ""Table"".x" (lower("100%")) WHERE "größe" > 0;
CREATE INDEX "idx.2" ON "Weird ""Table"".x" ("Desc" text_pattern_ops) INCLUDE (twice);
CREATE STATISTICS "Stat ""1""" ON "größe", twice FROM "Weird ""Table"".x";
CREATE VIEW "View.1" AS SELECT "Id", "100%" FROM "Weird ""Table"".x" WHERE "100%" LIKE '100%';
CREATE VIEW "View ""2""" AS SELECT "Id" FROM "View.1";
CREATE MATERIALIZED VIEW "Mat (view)" AS SELECT count(*) AS n FROM "View ""2""";
CREATE FUNCTION "Func.1"(a integer) RETURNS integer LANGUAGE sql AS $f$ SELECT a % 3 $f$;
CREATE FUNCTION "Func.1"(a text, VARIADIC b text[]) RETURNS text LANGUAGE sql AS $f$ SELECT a $f$;
CREATE FUNCTION "Func ""2""()"() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN RETURN new; END $f$;
CREATE FUNCTION atomic(a numeric) RETURNS numeric LANGUAGE sql
    BEGIN ATOMIC; SELECT max("größe") + a FROM "Weird ""Table"".x"; END;
CREATE PROCEDURE "Proc"(INOUT a integer) LANGUAGE plpgsql AS $f$ BEGIN a := 1; END $f$;
CREATE TRIGGER "Trig ""1""" BEFORE INSERT ON "Weird ""Table"".x"
    FOR EACH ROW WHEN (new."100%" LIKE '5%') EXECUTE FUNCTION "Func ""2""()"();
CREATE RULE "Rule.1" AS ON DELETE TO "Weird ""Table"".x" DO INSTEAD NOTHING;
ALTER TABLE "Weird ""Table"".x" ENABLE ROW LEVEL SECURITY;
CREATE POLICY "Pol ""1""" ON "Weird ""Table"".x" FOR SELECT USING ("100%" LIKE '1%');
CREATE SEQUENCE "Seq.1" MINVALUE 3;
CREATE TABLE "Other.Schema"."T ""2""" (id serial PRIMARY KEY, a integer UNIQUE, b text);
CREATE INDEX "i ""2""" ON "Other.Schema"."T ""2""" (b);
CREATE FUNCTION "Other.Schema".twice(a integer) RETURNS integer LANGUAGE sql AS 'SELECT 2 * a';
CREATE VIEW "Other.Schema"."V" AS SELECT a, "Other.Schema".twice(a) AS t FROM "Other.Schema"."T ""2""";
CREATE TYPE "Other.Schema"."Mood" AS ENUM ('it''s', 'ok');
CREATE TRIGGER t2 AFTER UPDATE ON "Other.Schema"."T ""2"""
    FOR EACH STATEMENT EXECUTE FUNCTION "Func ""2""()"();
COMMENT ON TABLE "Weird ""Table"".x" IS 'it''s 100% "quoted"';
COMMENT ON COLUMN "Weird ""Table"".x"."größe" IS 'ü';
COMMENT ON FUNCTION "Func.1"(integer) IS 'f';
COMMENT ON VIEW "View ""2""" IS 'v';
COMMENT ON TRIGGER "Trig ""1""" ON "Weird ""Table"".x" IS 't';
COMMENT ON POLICY "Pol ""1""" ON "Weird ""Table"".x" IS 'p';
COMMENT ON INDEX "Idx ""1""" IS 'i';
COMMENT ON CONSTRAINT "a ""check""" ON "Weird ""Table"".x" IS 'c';
COMMENT ON SCHEMA "Other.Schema" IS 's';
COMMENT ON SEQUENCE "Seq.1" IS 'q';
COMMENT ON MATERIALIZED VIEW "Mat (view)" IS 'm';
COMMENT ON STATISTICS "Stat ""1""" IS 'st';
COMMENT ON RULE "Rule.1" ON "Weird ""Table"".x" IS 'r'
'''

KINDS = r"""
CREATE EXTENSION hstore;
CREATE EXTENSION pg_stat_statements;
CREATE DOMAIN words AS text[] CHECK (array_length(VALUE, 1) < 5);
CREATE DOMAIN few AS words DEFAULT '{}' NOT NULL;
CREATE TYPE "Pair" AS (a words, "B" hstore);
CREATE TABLE parts (id bigint, at date NOT NULL, w few, p "Pair", PRIMARY KEY (id, at))
    PARTITION BY RANGE (at);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM ('2020-01-01') TO ('2021-01-01')
    PARTITION BY LIST (id);
CREATE TABLE parts_1_a PARTITION OF parts_1 FOR VALUES IN (1, 2);
CREATE TABLE parts_rest PARTITION OF parts DEFAULT;
CREATE INDEX parts_at ON parts (at);
CREATE FUNCTION log_it() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN RETURN NULL; END $f$;
CREATE TRIGGER on_parts AFTER INSERT ON parts FOR EACH ROW EXECUTE FUNCTION log_it();
CREATE CONSTRAINT TRIGGER late AFTER UPDATE ON parts DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION log_it();
CREATE TABLE parent (id integer PRIMARY KEY, CONSTRAINT positive CHECK (id > 0));
CREATE TABLE child (more text) INHERITS (parent);
CREATE UNLOGGED TABLE scratch (id integer);
CREATE TABLE typed OF "Pair";
CREATE TABLE refers (id integer PRIMARY KEY, to_parent integer REFERENCES parent ON DELETE SET NULL
    DEFERRABLE INITIALLY DEFERRED, to_parts bigint, at date,
    FOREIGN KEY (to_parts, at) REFERENCES parts);
CREATE AGGREGATE total(integer) (SFUNC = int4pl, STYPE = integer, INITCOND = '0');
CREATE OPERATOR === (LEFTARG = integer, RIGHTARG = integer, FUNCTION = int4eq);
CREATE FUNCTION forbid() RETURNS event_trigger LANGUAGE plpgsql AS $f$ BEGIN NULL; END $f$;
CREATE EVENT TRIGGER watching ON ddl_command_end WHEN TAG IN ('DROP TABLE')
    EXECUTE FUNCTION forbid();
CREATE TABLE secret (id integer, owner name DEFAULT CURRENT_USER);
ALTER TABLE secret ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY mine ON secret USING (owner = CURRENT_USER) WITH CHECK (id % 2 = 0);
CREATE POLICY all_of_it ON secret AS RESTRICTIVE FOR UPDATE TO PUBLIC USING (true);
CREATE RECURSIVE VIEW numbers (n) AS VALUES (1) UNION ALL SELECT n + 1 FROM numbers WHERE n < 10;
CREATE VIEW base AS SELECT r.id, p.at, row_number() OVER (ORDER BY p.at) FROM refers r
    LEFT JOIN parts p ON p.id = r.to_parts;
CREATE VIEW above WITH (check_option = local) AS SELECT * FROM parent WHERE id IN (1, 2, 3);
CREATE VIEW higher AS SELECT b.id, a.id AS other FROM base b JOIN above a USING (id)
    WHERE b.at BETWEEN '2020-01-01' AND now();
CREATE MATERIALIZED VIEW stored AS SELECT * FROM higher WITH NO DATA;
CREATE UNIQUE INDEX stored_id ON stored (id);
CREATE PUBLICATION pub FOR TABLE parent, secret;
CREATE TEXT SEARCH CONFIGURATION words_of (COPY = simple);
GRANT SELECT ON parent TO PUBLIC;
GRANT SELECT (id), UPDATE (id) ON child TO PUBLIC;
REVOKE EXECUTE ON FUNCTION log_it() FROM PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC
"""

MANY_FUNCTIONS = r"""
DO $d$ BEGIN FOR n IN 1..500 LOOP
    EXECUTE format('CREATE FUNCTION many_%s(a integer DEFAULT %s) RETURNS integer LANGUAGE sql '
        'AS $f$ SELECT a %% %s $f$', n, n, n);
END LOOP; END $d$
"""
