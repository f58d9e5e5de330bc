"""Drifts of the kinds project made by hand, each of other objects, and the row that each has to give."""

from dataclasses import dataclass

# Kind, name and status of a row.
Told = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class HandMade:
    """SQL done by hand, and what is told of it."""

    sql: str
    told: tuple[Told, ...]

    def __str__(self) -> str:
        return self.sql[:70]


def drift(sql: str, *told: Told) -> HandMade:
    return HandMade(sql, told)


MISSING, DIFFERENT, MORE, UNFINISHED = "missing", "different", "undeclared", "unfinished"

DRIFTS = [
    # what the ordinary run tells, told once
    drift("ALTER TABLE auth_user DROP last_login", ("column", "last_login", MISSING)),
    drift("ALTER TABLE auth_user ALTER first_name TYPE text", ("column", "first_name", DIFFERENT)),
    drift("ALTER TABLE auth_group ADD hand integer", ("column", "hand", MORE)),
    drift(
        "DROP INDEX auth_user_groups_group_id_97559544",
        ("index", "auth_user_groups_group_id_97559544", MISSING),
    ),
    drift("DROP TABLE django_session", ("table", "django_session", MISSING)),
    # tables that no model declares
    drift("DROP TABLE days", ("table", "days", MISSING)),
    drift(
        "CREATE TABLE by_hand (id serial PRIMARY KEY, x int CHECK (x > 0))",
        ("table", "by_hand", MORE),
    ),
    drift("ALTER TABLE rooms SET UNLOGGED", ("table", "rooms", DIFFERENT)),
    drift("ALTER TABLE rooms ADD hand integer", ("column", "hand", MORE)),
    drift(
        "ALTER TABLE log_more NO INHERIT log",
        ("table", "log_more", DIFFERENT),
        ("check", "log_kind", MORE),  # it is the table's own now
    ),
    drift("ALTER TABLE log ALTER kind SET DEFAULT 'b'", ("column", "kind", DIFFERENT)),
    drift("ALTER TABLE log ALTER at SET NOT NULL", ("column", "at", DIFFERENT)),
    drift('ALTER TABLE log ALTER word TYPE text COLLATE "default"', ("column", "word", DIFFERENT)),
    drift("ALTER TABLE rooms ALTER half DROP EXPRESSION", ("column", "half", DIFFERENT)),
    drift("ALTER TABLE rooms DROP CONSTRAINT rooms_alone", ("exclusion", "rooms_alone", MISSING)),
    drift(
        "ALTER TABLE log DROP CONSTRAINT log_kind, ADD CONSTRAINT log_kind CHECK (kind IN ('a', 'c'))",
        ("check", "log_kind", DIFFERENT),
    ),
    drift("ALTER TABLE log DROP CONSTRAINT log_pkey", ("primary key", "log_pkey", MISSING)),
    drift("ALTER SEQUENCE log_id_seq INCREMENT 5", ("sequence", "log_id_seq", DIFFERENT)),
    drift("ALTER TABLE reports.daily DROP total", ("column", "total", MISSING)),
    drift("ALTER TABLE kinds_maker REPLICA IDENTITY DEFAULT", ("table", "kinds_maker", DIFFERENT)),
    # indexes
    drift("ALTER INDEX thing_words RENAME TO words", ("index", "thing_words", UNFINISHED)),
    drift("DROP INDEX log_at; CREATE INDEX log_at ON log (at)", ("index", "log_at", DIFFERENT)),
    drift("DROP INDEX by_python", ("index", "by_python", MISSING)),
    drift("CREATE INDEX hand_made ON rooms (room)", ("index", "hand_made", MORE)),
    drift(
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'totals_state'::regclass",
        ("index", "totals_state", UNFINISHED),
    ),
    # types
    drift("ALTER TYPE mood ADD VALUE 'mad'", ("enum", "mood", DIFFERENT)),
    drift("CREATE TYPE moon AS ENUM ('new')", ("enum", "moon", MORE)),
    drift("ALTER TYPE pair ADD ATTRIBUTE c date", ("composite type", "pair", DIFFERENT)),
    drift("ALTER DOMAIN percent SET NOT NULL", ("domain", "percent", DIFFERENT)),
    drift("DROP TYPE span", ("range type", "span", MISSING)),
    drift("CREATE COLLATION hand_made (locale = 'POSIX')", ("collation", "hand_made", MORE)),
    drift("ALTER SEQUENCE tickets CYCLE", ("sequence", "tickets", DIFFERENT)),
    drift("CREATE SEQUENCE more_tickets", ("sequence", "more_tickets", MORE)),
    # code
    drift(
        "CREATE OR REPLACE FUNCTION double(a integer) RETURNS integer LANGUAGE sql IMMUTABLE "
        "AS 'SELECT a * 3'",
        ("function", "double(integer)", DIFFERENT),
    ),
    drift("DROP FUNCTION double(text)", ("function", "double(text)", MISSING)),
    drift(
        "CREATE FUNCTION hand_made() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        ("function", "hand_made()", MORE),
    ),
    drift("ALTER FUNCTION touch() SECURITY DEFINER", ("function", "touch()", DIFFERENT)),
    drift("DROP PROCEDURE sweep()", ("procedure", "sweep()", MISSING)),
    drift("DROP AGGREGATE product (integer)", ("aggregate", "product(integer)", MISSING)),
    drift(
        "CREATE TRIGGER more BEFORE INSERT ON log FOR EACH ROW EXECUTE FUNCTION touch()",
        ("trigger", "more", MORE),
    ),
    drift("ALTER TABLE kinds_thing DISABLE TRIGGER touched", ("trigger", "touched", DIFFERENT)),
    drift("DROP RULE no_delete ON log", ("rule", "no_delete", MISSING)),
    drift("ALTER EVENT TRIGGER watch DISABLE", ("event trigger", "watch", DIFFERENT)),
    # views
    drift(
        "CREATE OR REPLACE VIEW things AS SELECT id, name FROM kinds_thing WHERE state = 'new'",
        ("view", "things", DIFFERENT),
    ),
    drift("ALTER VIEW guarded RESET (security_barrier)", ("view", "guarded", DIFFERENT)),
    # operators, casts and dictionaries
    drift("DROP OPERATOR @@+ (integer, integer)", ("operator", "@@+(integer, integer)", MISSING)),
    drift(
        "CREATE OPERATOR @<- (RIGHTARG = integer, FUNCTION = int4um)",
        ("operator", "@<-(NONE, integer)", MORE),
    ),
    drift(
        "ALTER OPERATOR FAMILY backwards USING btree ADD OPERATOR 2 >= (integer, integer)",
        ("operator class", "backwards USING btree", DIFFERENT),
    ),
    drift("DROP CAST (pair AS text)", ("cast", "(pair AS text)", MISSING)),
    drift("CREATE CAST (mood AS integer) WITH INOUT", ("cast", "(mood AS integer)", MORE)),
    drift(
        "ALTER TEXT SEARCH DICTIONARY short (STOPWORDS)",
        ("text search dictionary", "short", DIFFERENT),
    ),
    drift("CREATE VIEW ones AS SELECT 1 AS one", ("view", "ones", MORE)),
    drift("CREATE MATERIALIZED VIEW sums AS SELECT 1 AS one", ("materialized view", "sums", MORE)),
    # rights of rows
    drift(
        "ALTER TABLE kinds_thing FORCE ROW LEVEL SECURITY",
        ("row security", "kinds_thing", DIFFERENT),
    ),
    drift(
        "ALTER TABLE auth_permission ENABLE ROW LEVEL SECURITY",
        ("row security", "auth_permission", MORE),
    ),
    drift("ALTER POLICY own ON kinds_thing USING (state = 'new')", ("policy", "own", DIFFERENT)),
    drift("CREATE POLICY more ON log", ("policy", "more", MORE)),
    # statistics, comments, and what belongs to the database
    drift("DROP STATISTICS thing_stats", ("statistics", "thing_stats", MISSING)),
    drift("CREATE STATISTICS more ON kind, at FROM log", ("statistics", "more", MORE)),
    drift("COMMENT ON TABLE log IS 'other'", ("comment", "log", DIFFERENT)),
    drift("COMMENT ON COLUMN log.kind IS NULL", ("comment", "kind", MISSING)),
    drift(
        "COMMENT ON FUNCTION double(integer) IS NULL",
        ("comment", "function double(integer)", MISSING),
    ),
    drift("COMMENT ON VIEW things IS 'more'", ("comment", "view things", MORE)),
    drift("DROP EXTENSION hstore", ("extension", "hstore", MISSING)),
    drift("CREATE EXTENSION pg_trgm", ("extension", "pg_trgm", MORE)),
    drift("DROP TEXT SEARCH CONFIGURATION plain", ("text search configuration", "plain", MISSING)),
    drift("ALTER PUBLICATION changes ADD TABLE auth_user", ("publication", "changes", DIFFERENT)),
]
