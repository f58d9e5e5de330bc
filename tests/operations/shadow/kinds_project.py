"""Write a project whose migrations make objects of every kind by their own SQL."""

from pathlib import Path

from tests.operations.projects.stock_project import write_files

SETTINGS = """
import os
from project.environment import database_from_url

SECRET_KEY = "kinds"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    *(f"django.contrib.{app}" for app in ("auth", "contenttypes", "sessions")),
    "signals.operations", "kinds",
]
DATABASES = {"default": database_from_url(os.environ["DATABASE_URL"])}
if "SECOND_URL" in os.environ:
    DATABASES["second"] = database_from_url(os.environ["SECOND_URL"])
CONVERGENT_MIGRATIONS = {"LOCK_TIMEOUT": 0.05, "LOCK_WAIT": 2.0}
"""

MODELS = """
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    operations = [
        migrations.CreateModel("Maker", [
            ("id", models.BigAutoField(primary_key=True)),
            ("code", models.CharField(max_length=20, unique=True)),
        ]),
        migrations.CreateModel("Thing", [
            ("id", models.BigAutoField(primary_key=True)),
            ("name", models.CharField(max_length=100, db_index=True)),
            ("state", models.CharField(max_length=10)),
            ("amount", models.PositiveIntegerField(default=0)),
            ("maker", models.ForeignKey("kinds.Maker", models.CASCADE)),
            ("body", models.TextField(default="")),
        ], options={"constraints": [
            models.CheckConstraint(condition=models.Q(state__in=("new", "old")), name="thing_state"),
        ]}),
    ]
"""

# One statement a line, so that each can be named by what it makes.
OBJECTS = """
CREATE SCHEMA reports
CREATE EXTENSION hstore
CREATE EXTENSION btree_gist
CREATE TYPE mood AS ENUM ('sad', 'glad')
CREATE TYPE pair AS (a integer, b text)
CREATE DOMAIN percent AS integer CHECK (VALUE >= 0 AND VALUE IN (0, 50, 100))
CREATE TYPE span AS RANGE (subtype = float8)
CREATE COLLATION german (locale = 'C')
CREATE SEQUENCE tickets START 7 INCREMENT 3
CREATE TABLE log (id bigserial PRIMARY KEY, kind varchar(10) DEFAULT 'a', word text COLLATE german, at date, \
CONSTRAINT log_kind CHECK (kind IN ('a', 'b')))
CREATE TABLE log_more (more integer) INHERITS (log)
CREATE TABLE days (day date, amount integer, PRIMARY KEY (day)) PARTITION BY RANGE (day)
CREATE TABLE days_2026 PARTITION OF days FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')
CREATE TABLE rooms (room integer, during tsrange, half integer GENERATED ALWAYS AS (room / 2) STORED, \
CONSTRAINT rooms_alone EXCLUDE USING gist (room WITH =, during WITH &&))
CREATE TABLE reports.daily (id integer PRIMARY KEY, total numeric)
CREATE INDEX thing_words ON kinds_thing USING gin (to_tsvector('simple', body)) WHERE state IN ('new', 'x')
CREATE INDEX log_at ON log (at DESC)
CREATE FUNCTION double(a integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT a * 2'
CREATE FUNCTION double(a text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT a || a'
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'
CREATE PROCEDURE sweep() LANGUAGE sql AS 'DELETE FROM log'
CREATE AGGREGATE product (integer) (sfunc = int4mul, stype = integer, initcond = '1')
CREATE OPERATOR @@+ (LEFTARG = integer, RIGHTARG = integer, FUNCTION = int4pl, COMMUTATOR = @@+)
CREATE OPERATOR CLASS backwards FOR TYPE integer USING btree AS OPERATOR 1 >, OPERATOR 3 =, \
OPERATOR 5 <, FUNCTION 1 btint4cmp(integer, integer)
CREATE CAST (pair AS text) WITH INOUT AS ASSIGNMENT
CREATE TEXT SEARCH DICTIONARY short (TEMPLATE = simple, STOPWORDS = english)
CREATE VIEW things AS SELECT t.id, t.name FROM kinds_thing t WHERE t.state IN ('new', 'old')
CREATE VIEW guarded WITH (security_barrier) AS SELECT name, double(amount) AS twice FROM kinds_thing
CREATE VIEW busy AS SELECT m.code, (SELECT count(*) FROM kinds_thing t WHERE t.maker_id = m.id) AS things \
FROM kinds_maker m WHERE EXISTS (SELECT FROM kinds_thing t WHERE t.maker_id = m.id AND t.state IN ('a', 'b'))
CREATE VIEW ranked AS WITH big AS (SELECT id, amount FROM kinds_thing WHERE amount > 5) \
SELECT id, rank() OVER (ORDER BY amount) AS place FROM big UNION SELECT id, 0 FROM kinds_maker ORDER BY 1
CREATE VIEW joined AS SELECT t.id, m.code FROM kinds_thing t JOIN kinds_maker m ON m.id = t.maker_id
CREATE MATERIALIZED VIEW totals AS SELECT state, sum(amount) AS amount FROM kinds_thing GROUP BY state
CREATE UNIQUE INDEX totals_state ON totals (state)
CREATE TRIGGER touched BEFORE UPDATE ON kinds_thing FOR EACH ROW WHEN (NEW.state IN ('new', 'old')) \
EXECUTE FUNCTION touch()
CREATE RULE no_delete AS ON DELETE TO log DO INSTEAD NOTHING
ALTER TABLE kinds_thing ENABLE ROW LEVEL SECURITY
CREATE POLICY own ON kinds_thing FOR SELECT USING (state IN ('new', 'old'))
CREATE STATISTICS thing_stats (dependencies) ON state, maker_id FROM kinds_thing
COMMENT ON TABLE log IS 'what happened'
COMMENT ON COLUMN log.kind IS 'a or b'
COMMENT ON FUNCTION double(integer) IS 'twice'
COMMENT ON TRIGGER touched ON kinds_thing IS 'touches'
CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION watched()
CREATE TEXT SEARCH CONFIGURATION plain (COPY = simple)
CREATE PUBLICATION changes FOR TABLE kinds_maker
ALTER TABLE kinds_thing ALTER COLUMN body SET DEFAULT ''
ALTER TABLE kinds_maker REPLICA IDENTITY FULL
""".replace(
    "CREATE EVENT TRIGGER",
    "CREATE FUNCTION watched() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'\nCREATE EVENT TRIGGER",
)

BY_SQL = f"""
from django.db import migrations

STATEMENTS = {OBJECTS.strip().splitlines()!r}


def make(apps, editor):
    Maker = apps.get_model("kinds", "Maker")
    Maker.objects.create(code="by hand")
    editor.execute("CREATE INDEX by_python ON kinds_maker (upper(code))")


class Migration(migrations.Migration):
    dependencies = [("kinds", "0001_initial")]
    operations = [
        *(migrations.RunSQL(each, migrations.RunSQL.noop) for each in STATEMENTS),
        migrations.RunPython(make, migrations.RunPython.noop),
    ]
"""

FILES = {
    "kinds_settings.py": SETTINGS,
    "kinds/models.py": "",
    "kinds/migrations/0001_initial.py": MODELS,
    "kinds/migrations/0002_by_sql.py": BY_SQL,
}


def write_kinds_project(folder: Path) -> None:
    """Write the files of the project."""
    write_files(folder, FILES)


def add_migration(folder: Path, name: str, *, after: str, operations: str) -> None:
    """Write a further migration of the app; operations: the elements of its list, as Python."""
    (folder / f"kinds/migrations/{name}.py").write_text(
        "from django.db import migrations\n\n\n"
        "class Migration(migrations.Migration):\n"
        f'    dependencies = [("kinds", "{after}")]\n'
        f"    operations = [{operations}]\n"
    )
