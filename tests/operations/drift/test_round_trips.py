"""verify_schema takes a dozen round trips at most, whatever the project and what is wrong with it."""

from tests.operations.drift.round_trips import counting_relay
from tests.operations.projects.project import Project
from tests.operations.projects.unmigrated_project import KEY, migrate_history

TABLES = 24

# Each table with components of every kind, some of which PostgreSQL spells otherwise.
TABLE = """migrations.CreateModel("M{n}", [{key},
    ("a", models.CharField(max_length=20, unique=True)), ("b", models.PositiveIntegerField(default=1)),
    ("c", models.SlugField()), ("d", models.JSONField(db_default=models.Value({{}}, models.JSONField()))),
    ("p", models.ForeignKey("mill.M0", models.CASCADE, null=True, related_name="+")),
    ("g", models.GeneratedField(
        expression=models.F("b") + 1, output_field=models.IntegerField(), db_persist=True)),
], options={{
    "indexes": [models.Index(fields=["b"], condition=models.Q(c__in=["u", "v"]), name="i{n}")],
    "constraints": [
        models.CheckConstraint(condition=models.Q(a__in=["x", "y"]) | models.Q(b__gt=1), name="c{n}"),
        models.UniqueConstraint(
            fields=["a", "b"], condition=models.Q(c__in=["u", "v"]), name="u{n}")]}})"""

# What PostgreSQL cannot put the declaration on, what is spelled otherwise, and what has another name.
DRIFTS = """
ALTER TABLE mill_m{n} DROP COLUMN c CASCADE;
ALTER TABLE mill_m{n} ADD COLUMN c text[];
CREATE INDEX i{n} ON mill_m{n} (b) WHERE c = '{{}}';
ALTER TABLE mill_m{m} DROP CONSTRAINT c{m};
ALTER TABLE mill_m{m} ADD CONSTRAINT c{m} CHECK (a = ANY (ARRAY['x', 'y']::text[]) OR b > 2 - 1);
ALTER INDEX u{m} RENAME TO other{m};
DROP INDEX i{m};
"""


def verified(project: Project, *words: str) -> tuple[int, str]:
    """Return the number of round trips of the command, and what it printed."""
    with counting_relay(project.database) as (relay, _):
        url = f"postgresql://{project.database.url.split('://')[1].split('@')[0]}@127.0.0.1:{relay.port}"
        url = f"{url}/{project.database.name}?sslmode=disable"
        done = project.manage("verify_schema", *words, DATABASE_URL=url)
        assert done.stderr == ""
        return relay.round_trips, done.stdout


def test_a_clean_project_of_many_tables(unmigrated_project: Project) -> None:
    tables = (TABLE.format(n=n, key=KEY) for n in range(TABLES))
    migrate_history(unmigrated_project, ", ".join(tables))
    number, text = verified(unmigrated_project)
    assert text.endswith(" exist\n")
    assert number <= 12


def test_a_project_of_which_many_tables_cannot_take_their_declaration(
    unmigrated_project: Project,
) -> None:
    tables = (TABLE.format(n=n, key=KEY) for n in range(TABLES))
    migrate_history(unmigrated_project, ", ".join(tables))
    for n in range(0, TABLES, 2):
        unmigrated_project.psql(DRIFTS.format(n=n, m=n + 1))
    assert verified(unmigrated_project)[0] <= 12
    found = unmigrated_project.not_as_declared()
    assert {status for _, name, status in found if name == "c"} == {"different"}
    assert ("unique", f"u{TABLES - 1}", "unfinished") in found
    assert ("index", f"i{TABLES - 1}", "missing") in found
    assert ("check", f"c{TABLES - 1}", "different") not in found
