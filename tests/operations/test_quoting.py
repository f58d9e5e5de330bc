"""Names and texts that need care: capitals, spaces, quotes, percent signs, 63 bytes, schemas."""

from typing import Any

import pytest
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.migrations.state import ModelState
from django.db.models import CheckConstraint, Index, Q, UniqueConstraint

from signals import operations
from tests.operations import scratch_schema
from tests.operations.kill_between_statements import Killed, kill_after
from tests.operations.scratch_schema import (
    APP,
    PART_TABLE,
    SCHEMA,
    SERIAL,
    backwards,
    catalog_versions,
    facts,
    forwards,
    part_model,
    printed_sql,
    project_state,
    psql,
    recreate,
)

pytestmark = pytest.mark.usefixtures("committing_connection")

LONG = "ä" * 31 + "z"  # 63 bytes in 32 characters
NAMES = {
    "mixed case": ("MixedCase", "TheColumn", "TheName"),
    "spaces": ("two words", "a column", "a name"),
    "a single quote": ("it's", "isn't", "o'clock"),
    # Django itself breaks at a percent sign in a name; in texts it is at home, see below.
    "a dot": ("v1.part", "v1.column", "v1.name"),
    "a reserved word": ("select", "order", "user"),
    "63 bytes": (LONG, LONG, LONG),
    "a semicolon and a comment": ("a;b--", "c;d--", "e;f/*"),
    "a backslash and a colon": ("a\\b", ":c", ":'d'"),
    "in the second schema": ('"aside"."part"', "label", "wanted"),
    "in the second schema, mixed case": ('"aside"."MixedCase"', "TheColumn", "TheName"),
}
each_name = pytest.mark.parametrize("names", NAMES.values(), ids=NAMES)


def some_names(*chosen: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("names", [NAMES[each] for each in chosen], ids=chosen)


def quoted(name: str) -> str:
    return name if name.startswith('"') else f'"{name}"'


def model(table: str, column: str) -> ModelState:
    fields = [
        ("id", models.BigAutoField(primary_key=True)),
        ("label", models.TextField(db_column=column, null=True)),
    ]
    return ModelState(APP, "Odd", fields, {"db_table": table})


def every_operation(column: str, name: str) -> list[Any]:
    """One of each, on the column, by the name."""
    text = models.TextField(db_column=column)
    return [
        operations.AddColumnIfMissing(
            "odd", "extra", models.IntegerField(db_column=f"{column[:20]}2", null=True)
        ),
        operations.AddCheckIfMissing(
            "odd", CheckConstraint(condition=~Q(label="%s 100%"), name=name)
        ),
        operations.SetNotNullIfNullable("odd", "label", text),
        operations.AlterColumnTypeIfDifferent(
            "odd",
            "label",
            models.CharField(max_length=9, db_column=column, null=True),
            allow_rewrite=True,
        ),
        operations.CreateIndexConcurrentlyIfMissing(
            "odd", Index(fields=["label"], condition=Q(label="50%"), name=f"{name[:20]}3")
        ),
        operations.AddUniqueIfMissing(
            "odd", UniqueConstraint(fields=["label"], name=f"{name[:20]}4")
        ),
        operations.BackfillInBatches("odd", "label", models.Value("100% 'x'")),
    ]


@each_name
def test_every_operation_goes_forward_again_and_back(names: tuple[str, str, str]) -> None:
    table, column, name = names
    recreate(f'CREATE TABLE {quoted(table)} (id bigserial PRIMARY KEY, "{column}" text)')
    state = project_state(model(table, column))
    for operation in every_operation(column, name)[:-1]:
        start = facts()
        forwards(operation, state)
        assert facts() != start
        before = catalog_versions()
        forwards(operation, state)
        assert catalog_versions() == before
        backwards(operation, state)
        assert facts() == start
        backwards(operation, state)
        assert facts() == start


@some_names(
    "mixed case",
    "a single quote",
    "a dot",
    "63 bytes",
    "a backslash and a colon",
    "in the second schema, mixed case",
)
def test_every_script_runs_twice_and_back_twice(names: tuple[str, str, str]) -> None:
    table, column, name = names
    start_sql = f'CREATE TABLE {quoted(table)} (id bigserial PRIMARY KEY, "{column}" text)'
    state = project_state(model(table, column))
    for operation in every_operation(column, name)[:-1]:
        recreate(start_sql)
        start = facts()
        forwards(operation, state)
        wanted = facts()
        recreate(start_sql)
        for back, expected in ((False, wanted), (True, start)):
            ran = psql(printed_sql(operation, state, back=back) * 2)
            assert (ran.returncode, ran.stderr) == (0, "")
            assert facts() == expected


@some_names("a dot", "63 bytes", "in the second schema, mixed case")
def test_a_killed_run_is_continued(
    names: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The names that the operations make up themselves are found again."""
    table, column, _ = names
    state = project_state(model(table, column))
    text = models.TextField(db_column=column)
    key = models.ForeignKey("bench.odd", models.CASCADE, null=True, db_column=f"{column[:20]}2")
    for operation in (
        operations.SetNotNullIfNullable("odd", "label", text),
        operations.AddColumnIfMissing("odd", "parent", key),
    ):
        recreate(
            f'CREATE TABLE {quoted(table)} (id bigserial PRIMARY KEY, "{column}" text);'
            f"INSERT INTO {quoted(table)} VALUES (1, 'kept')"
        )
        start = facts()
        for limit in (1, 2, 3):
            with monkeypatch.context() as patch:
                kill_after(patch, limit)
                with pytest.raises(Killed):
                    forwards(operation, state)
            forwards(operation, state)
            before = catalog_versions()
            forwards(operation, state)
            assert catalog_versions() == before
            backwards(operation, state)
            assert facts() == start


@each_name
def test_a_table_of_that_name_is_created_with_its_parts(names: tuple[str, str, str]) -> None:
    table, column, name = names
    operation = operations.CreateTableIfMissing(
        "Odd",
        [("id", SERIAL), ("label", models.TextField(db_column=column))],
        {
            "db_table": table,
            "indexes": [Index(fields=["label"], name=f"{name[:20]}5")],
            "constraints": [CheckConstraint(condition=~Q(label="100%"), name=name)],
        },
    )
    recreate()
    start, state = facts(), project_state()
    forwards(operation, state)
    wanted, before = facts(), catalog_versions()
    forwards(operation, state)
    assert catalog_versions() == before
    backwards(operation, state)
    assert facts() == start
    for back, expected in ((False, wanted), (True, start)):
        ran = psql(printed_sql(operation, state, back=back) * 2)
        assert (ran.returncode, ran.stderr) == (0, "")
        assert facts() == expected


@each_name
def test_rows_are_filled_in_a_table_of_that_name(names: tuple[str, str, str]) -> None:
    table, column, name = names
    recreate(f'CREATE TABLE {quoted(table)} (id bigserial PRIMARY KEY, "{column}" text)')
    scratch_schema.execute(f"INSERT INTO {quoted(table)} (\"{column}\") VALUES (NULL), ('kept')")
    state = project_state(model(table, column))
    operation = every_operation(column, name)[-1]
    question = f'SELECT "{column}" FROM {quoted(table)} ORDER BY id'
    forwards(operation, state)
    assert scratch_schema.rows(question) == [("100% 'x'",), ("kept",)]
    scratch_schema.execute(f'UPDATE {quoted(table)} SET "{column}" = NULL WHERE id = 1')
    ran = psql(printed_sql(operation, state))
    assert (ran.returncode, ran.stderr) == (0, "")
    assert scratch_schema.rows(question) == [("100% 'x'",), ("kept",)]


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("MixedCase", ["a", "b"]),
        ("two words", ["it's", "100%", 'so "so"', "ä" * 31]),
        (LONG, ["z" * 63]),
        ("public.fake", ["\\", ":x"]),
    ],
    ids=["mixed case", "spaces and quotes", "63 bytes", "a dot"],
)
def test_an_enum_of_that_name_with_those_values(name: str, labels: list[str]) -> None:
    operation = operations.CreateEnumIfMissing(name, labels)
    recreate()
    start, state = facts(), project_state()
    forwards(operation, state)
    wanted = facts()
    assert ("enum", SCHEMA, name, ",".join(labels), "", "") in wanted
    before = catalog_versions()
    forwards(operation, state)
    assert catalog_versions() == before
    backwards(operation, state)
    assert facts() == start
    for back, expected in ((False, wanted), (True, start)):
        ran = psql(printed_sql(operation, state, back=back) * 2)
        assert (ran.returncode, ran.stderr) == (0, "")
        assert facts() == expected


def in_the_second_schema(run: Any, operation: Any, state: Any) -> list[tuple[Any, ...]]:
    with scratch_schema.search_path("bench, aside"):
        run(operation, state)
    return facts()


def test_a_table_in_the_second_schema_of_the_search_path_is_the_one_worked_on() -> None:
    recreate("CREATE TABLE aside.odd (id bigserial PRIMARY KEY, label text)")
    state = project_state(model("odd", "label"))
    start = facts()
    for operation in every_operation("label", "wanted")[:-1]:
        assert in_the_second_schema(forwards, operation, state) != start
        before = catalog_versions()
        in_the_second_schema(forwards, operation, state)
        assert catalog_versions() == before
        assert in_the_second_schema(backwards, operation, state) == start


def test_of_two_tables_the_first_on_the_search_path_is_the_one() -> None:
    table = "CREATE TABLE {}.odd (id bigserial PRIMARY KEY, label text)"
    recreate(table.format("bench"), table.format("aside"))
    state = project_state(model("odd", "label"))
    for path, mine in (("bench, aside", "bench"), ("aside, bench", "aside")):
        with scratch_schema.search_path(path):
            for operation in every_operation("label", "wanted")[:-1]:
                other = scratch_schema.rows(OTHER, [mine])
                forwards(operation, state)
                assert scratch_schema.rows(OTHER, [mine]) == other
                backwards(operation, state)
                assert scratch_schema.rows(OTHER, [mine]) == other


OTHER = """
SELECT a.attname, a.attnotnull, format_type(a.atttypid, a.atttypmod), c.relname, a.xmin::text
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname IN ('bench', 'aside')
WHERE n.nspname <> %s AND a.attnum > 0 ORDER BY c.relname, a.attnum
"""


def test_the_way_back_as_a_script_drops_no_index_of_another_schema() -> None:
    """The table stands in the second schema of the path; the first has an index of that name."""
    recreate(
        "CREATE TABLE aside.odd (id bigserial PRIMARY KEY, label text);"
        "CREATE INDEX wanted3 ON aside.odd (label) WHERE label = '50%';"
        "CREATE UNIQUE INDEX wanted4 ON aside.odd (label);"
        "CREATE TABLE bench.other (label text); CREATE INDEX wanted3 ON bench.other (label);"
        "CREATE INDEX wanted4 ON bench.other (label)"
    )
    state = project_state(model("odd", "label"))
    for operation in every_operation("label", "wanted")[4:6]:
        psql(printed_sql(operation, state, back=True), path="bench, aside")
        left = {row[1:3] for row in facts() if row[0] == "index"}
        assert {("other", "wanted3"), ("other", "wanted4")} <= left


def test_a_table_that_another_schema_has_is_created_in_the_first_one() -> None:
    recreate("CREATE TABLE aside.odd (id text)")
    operation = operations.CreateTableIfMissing("Odd", [("id", SERIAL)], {"db_table": "odd"})
    with scratch_schema.search_path("bench, aside"):
        forwards(operation, project_state())
        assert ("relation", "bench", "odd", "r", "", "") in facts()
        before = catalog_versions()
        forwards(operation, project_state())
        assert catalog_versions() == before
        for _ in range(2):
            backwards(operation, project_state())
    assert [row[:3] for row in facts()] == [
        ("column", "aside.odd", "id"),
        ("relation", "aside", "odd"),
    ]


def test_array_and_json_values_with_percent_signs_and_quotes() -> None:
    recreate(PART_TABLE)
    state = project_state(part_model())
    for field in (
        models.JSONField(db_default={"rate": "100%", "note": "it's"}),
        ArrayField(models.TextField(), db_default=["100%", "it's", 'so "so"', "a,b", "NULL"]),
    ):
        operation = operations.AddColumnIfMissing("part", "extra", field)
        forwards(operation, state)
        before = catalog_versions()
        forwards(operation, state)
        assert catalog_versions() == before
        backwards(operation, state)


def test_a_name_that_postgresql_would_cut_is_refused_while_coding() -> None:
    with pytest.raises(ValueError, match="bytes long, and PostgreSQL keeps 63"):
        operations.AddCheckIfMissing(
            "part", models.CheckConstraint(condition=Q(amount__gt=0), name="c" * 64)
        )
    with pytest.raises(ValueError, match="bytes long, and PostgreSQL keeps 63"):
        operations.AddUniqueIfMissing("part", UniqueConstraint(fields=["label"], name="é" * 32))
