"""When a foreign key that exists is the declared one, when it is another, and when there can be none."""

from typing import Any

import pytest
from django.db import connection, models
from django.db.migrations.state import ModelState, ProjectState

from signals import operations
from signals.operations.migrate.walk import operation_findings
from tests.operations import scratch_schema
from tests.operations.components.assertions import (
    assert_different,
    assert_nothing_is_sent,
    assert_unchanged,
)
from tests.operations.components.definition_pairs.pair import FURTHER, START, each_way
from tests.operations.scratch_schema import (
    APP,
    BOX_MODEL,
    PART_TABLE,
    SERIAL,
    facts,
    forwards,
    part_model,
    project_state,
    recreate,
)

pytestmark = pytest.mark.usefixtures("committing_connection")

PARENT: Any = models.ForeignKey("bench.part", models.CASCADE, null=True, db_index=False)
BY_CODE: Any = models.ForeignKey(
    "bench.part", models.CASCADE, null=True, db_index=False, to_field="code"
)
OTHER = ModelState(APP, "Other", [("id", SERIAL)], {"db_table": "other"})
# A foreign key's target is unique.
CODE = ("code", models.CharField(max_length=9, null=True, unique=True))
KEYED = part_model(*[CODE if name == "code" else (name, field) for name, field in FURTHER])

SERVES: dict[str, tuple[Any, str, str]] = {
    "another name": (PARENT, "bigint", "CONSTRAINT theirs FOREIGN KEY (parent_id) REFERENCES part"),
    "its own name": (PARENT, "bigint", "FOREIGN KEY (parent_id) REFERENCES bench.part (id)"),
    "not deferrable": (
        PARENT,
        "bigint",
        "FOREIGN KEY (parent_id) REFERENCES part NOT DEFERRABLE",
    ),
    "checked at once": (
        PARENT,
        "bigint",
        "FOREIGN KEY (parent_id) REFERENCES part DEFERRABLE INITIALLY IMMEDIATE",
    ),
    "checked at the end": (
        PARENT,
        "bigint",
        "FOREIGN KEY (parent_id) REFERENCES part DEFERRABLE INITIALLY DEFERRED",
    ),
    "a field other than the key": (
        BY_CODE,
        "varchar(9)",
        "FOREIGN KEY (parent_id) REFERENCES part (code)",
    ),
    "one of two": (
        PARENT,
        "bigint",
        (
            "FOREIGN KEY (parent_id) REFERENCES other, "
            "ADD FOREIGN KEY (parent_id) REFERENCES part ON DELETE RESTRICT"
        ),
    ),
}
REPORTED = ("ON DELETE CASCADE", "ON DELETE SET NULL", "ON UPDATE CASCADE", "MATCH FULL")
ASTRAY: dict[str, tuple[Any, str, str, str, str]] = {
    "another table": (
        PARENT,
        "bigint",
        "REFERENCES other",
        "FOREIGN KEY (parent_id) REFERENCES other(id)",
        'FOREIGN KEY ("parent_id") REFERENCES "part" (id)',
    ),
    "a table of that name in another schema": (
        PARENT,
        "bigint",
        "REFERENCES aside.part",
        "FOREIGN KEY (parent_id) REFERENCES aside.part(id)",
        'FOREIGN KEY ("parent_id") REFERENCES "part" (id)',
    ),
    "another column of the table": (
        BY_CODE,
        "varchar(9)",
        "REFERENCES part (label)",
        "FOREIGN KEY (parent_id) REFERENCES part(label)",
        'FOREIGN KEY ("parent_id") REFERENCES "part" (code)',
    ),
}
BOUND = (
    f"{START}; CREATE TABLE aside.part (id bigint PRIMARY KEY); ALTER TABLE part ADD UNIQUE (label)"
)


def bound(field: Any, way: str) -> tuple[Any, ProjectState]:
    if way == "alone":
        operation: Any = operations.AddColumnIfMissing("part", "parent", field)
        return operation, project_state(KEYED)
    fields = [*KEYED.fields.items(), ("parent", field)]
    operation = operations.CreateTableIfMissing("Part", fields, {"db_table": "part"})
    return operation, project_state()


def bind(type_name: str, key: str) -> None:
    recreate(
        BOUND, f"ALTER TABLE part ADD COLUMN parent_id {type_name}; ALTER TABLE part ADD {key}"
    )


@each_way
@pytest.mark.parametrize("what", SERVES)
def test_a_foreign_key_is_known_by_its_columns_and_its_target(what: str, way: str) -> None:
    field, type_name, key = SERVES[what]
    bind(type_name, key)
    assert_nothing_is_sent(*bound(field, way))


@each_way
@pytest.mark.parametrize("action", REPORTED)
def test_another_action_of_a_foreign_key_is_reported_and_serves(action: str, way: str) -> None:
    operation, state = bound(PARENT, way)
    bind("bigint", f"CONSTRAINT theirs FOREIGN KEY (parent_id) REFERENCES part {action}")
    assert_nothing_is_sent(operation, state)
    after = state.clone()
    operation.state_forwards(APP, after)
    findings = operation_findings(connection, APP, operation, state, after)
    assert [each for each in findings if each.component == "foreign key"] == [
        operations.Finding(
            "foreign key",
            "theirs",
            '"part"',
            operations.Status.EXISTS,
            f"FOREIGN KEY (parent_id) REFERENCES part(id) {action}",
            'FOREIGN KEY ("parent_id") REFERENCES "part" (id)',
            note=f"{action} in the database, NO ACTION in the declaration; left as it is",
        )
    ]


@each_way
@pytest.mark.parametrize("action", ["", "ON DELETE SET NULL"])
def test_a_declared_action_that_was_lost_is_a_difference(
    action: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Django 6.1 writes ON DELETE for a field that leaves it to the database, as with DB_CASCADE.
    editor = connection.SchemaEditorClass
    declared = editor.sql_create_fk.replace("%(deferrable)s", " ON DELETE CASCADE%(deferrable)s")
    monkeypatch.setattr(editor, "sql_create_fk", declared)
    operation, state = bound(PARENT, way)
    bind("bigint", f"CONSTRAINT theirs FOREIGN KEY (parent_id) REFERENCES part {action}")
    error = assert_different(operation, state)
    assert error.found == f"FOREIGN KEY (parent_id) REFERENCES part(id) {action}".rstrip()
    assert error.wanted == 'FOREIGN KEY ("parent_id") REFERENCES "part" (id) ON DELETE CASCADE'
    assert error.fix == 'ALTER TABLE "part" DROP CONSTRAINT "theirs"; and run again'
    bind("bigint", "CONSTRAINT theirs FOREIGN KEY (parent_id) REFERENCES part ON DELETE CASCADE")
    assert_nothing_is_sent(*bound(PARENT, way))


@each_way
@pytest.mark.parametrize("what", ASTRAY)
def test_a_foreign_key_that_leads_elsewhere_is_seen_and_shown(what: str, way: str) -> None:
    field, type_name, target, found, wanted = ASTRAY[what]
    bind(type_name, f"CONSTRAINT theirs FOREIGN KEY (parent_id) {target}")
    error = assert_different(*bound(field, way))
    assert (error.component, error.name) == ("foreign key", "theirs")
    assert (error.found, error.wanted) == (found, wanted)
    assert error.fix == 'ALTER TABLE "part" DROP CONSTRAINT "theirs"; and run again'


@each_way
def test_a_foreign_key_of_more_columns_is_another_one_and_stays(way: str) -> None:
    bind("bigint", "UNIQUE (id, code)")
    theirs = "FOREIGN KEY (parent_id, code) REFERENCES part(id, code)"
    scratch_schema.execute(f"ALTER TABLE part ADD CONSTRAINT theirs {theirs}")
    operation, state = bound(PARENT, way)
    forwards(operation, state)
    keys = sorted(row[4] for row in facts() if row[0] == "constraint" and row[3] == "f")
    assert keys == [
        "FOREIGN KEY (parent_id) REFERENCES part(id) DEFERRABLE INITIALLY DEFERRED",
        theirs,
    ]


def test_a_foreign_key_to_a_table_that_is_declared_with_its_schema_is_known_again() -> None:
    recreate(PART_TABLE, "CREATE TABLE piece (id bigserial PRIMARY KEY)")
    state = project_state(
        ModelState("bench", "Part", [("id", SERIAL)], {"db_table": '"bench"."part"'}),
        ModelState("bench", "Piece", [("id", SERIAL)], {"db_table": "piece"}),
    )
    operation = operations.AddColumnIfMissing(
        "piece", "part", models.ForeignKey("bench.part", models.CASCADE, null=True)
    )
    forwards(operation, state)
    assert_unchanged(operation, state)


def test_a_foreign_key_that_is_not_enforced_is_different() -> None:
    if connection.pg_version < 180000:
        return
    recreate(
        PART_TABLE,
        "ALTER TABLE part ADD COLUMN parent_id bigint; CREATE INDEX ON part (parent_id);"
        "ALTER TABLE part ADD CONSTRAINT theirs FOREIGN KEY (parent_id) REFERENCES part NOT ENFORCED",
    )
    field = models.ForeignKey("bench.part", models.CASCADE, null=True)
    assert_different(
        operations.AddColumnIfMissing("part", "parent", field), project_state(part_model())
    )


def test_of_two_foreign_keys_the_valid_one_serves() -> None:
    recreate(
        PART_TABLE,
        "ALTER TABLE part ADD COLUMN parent_id bigint; CREATE INDEX ON part (parent_id);"
        "ALTER TABLE part ADD CONSTRAINT a FOREIGN KEY (parent_id) REFERENCES part NOT VALID;"
        "ALTER TABLE part ADD CONSTRAINT b FOREIGN KEY (parent_id) REFERENCES part",
    )
    field = models.ForeignKey("bench.part", models.CASCADE, null=True)
    assert_unchanged(
        operations.AddColumnIfMissing("part", "parent", field), project_state(part_model())
    )


KEYS: dict[str, tuple[str, str]] = {
    "a column that is no key": (
        "CREATE TABLE box (id bigint PRIMARY KEY, code integer)",
        'would refer to "code" of "box", which is not unique there',
    ),
    "a column of a key that may wait": (
        "CREATE TABLE box (id bigint PRIMARY KEY, code integer UNIQUE DEFERRABLE)",
        'would refer to "code" of "box", which is not unique there',
    ),
    "a column that is unique where a condition holds": (
        (
            "CREATE TABLE box (id bigint PRIMARY KEY, code integer);"
            "CREATE UNIQUE INDEX ON box (code) WHERE code > 0"
        ),
        'would refer to "code" of "box", which is not unique there',
    ),
    "a view": (
        "CREATE TABLE cup (id bigint PRIMARY KEY, code integer UNIQUE); CREATE VIEW box AS TABLE cup",
        '"box" is no table',
    ),
}


@pytest.mark.parametrize("what", KEYS)
def test_a_foreign_key_that_cannot_be_leaves_no_column_behind(what: str) -> None:
    sql, reason = KEYS[what]
    recreate(PART_TABLE, sql)
    start = facts()

    def key(column: str) -> Any:
        return models.ForeignKey(
            "bench.box", models.CASCADE, to_field="code", null=True, db_column=column
        )

    for operation in (
        operations.AddColumnIfMissing("part", "box", key("box")),
        operations.AddForeignKeyIfMissing("part", "amount", key("amount")),
    ):
        with pytest.raises(operations.Refused) as caught:
            forwards(operation, project_state(part_model(), BOX_MODEL))
        assert reason in caught.value.reason
        assert facts() == start


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        (
            "CREATE TABLE box (id uuid PRIMARY KEY)",
            'has "id" as uuid, and bigint cannot refer to it',
        ),
        ("CREATE UNLOGGED TABLE box (id bigint PRIMARY KEY)", "is unlogged"),
    ],
    ids=["type", "unlogged"],
)
def test_a_foreign_key_that_cannot_be_leaves_no_column(sql: str, reason: str) -> None:
    recreate(PART_TABLE, sql)
    start = facts()
    box = ModelState(APP, "Box", [("id", SERIAL)], {"db_table": "box"})
    key = models.ForeignKey("bench.box", models.CASCADE, null=True)
    with pytest.raises(operations.Refused, match=reason):
        forwards(
            operations.AddColumnIfMissing("part", "box", key), project_state(part_model(), box)
        )
    assert facts() == start
