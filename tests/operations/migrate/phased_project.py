"""Two releases of one project: the second removes what the first reads and writes."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg

from tests.deadline import DEADLINE
from tests.operations.projects.project import Project
from tests.operations.projects.unmigrated_project import (
    KEY,
    migration_names,
    run_command,
    write_migration,
)
from tests.postgres.polling import wait_until

EXPAND = {"CONVERGENT_MIGRATIONS_PHASE": "expand"}

SOURCE = """\
import uuid

from django.db import migrations, models
from django.db.models import functions
from django.db.models.functions import Now

from signals import operations


class Migration(migrations.Migration):
    atomic = False
    initial = {initial}
    dependencies = {dependencies}
    operations = [{operations}]
"""

FIRST = f"""
migrations.CreateModel("Shelf", [{KEY}]),
migrations.CreateModel("Tag", [{KEY}]),
migrations.CreateModel("Item", [
    {KEY},
    ("name", models.TextField()),
    ("kind", models.IntegerField(default=7)),
    ("label", models.CharField(max_length=9, blank=True)),
    ("stamp", models.UUIDField(default=uuid.uuid4)),
    ("serial", models.IntegerField(unique=True, default=0)),
    ("made", models.DateTimeField(auto_now_add=True)),
    ("note", models.TextField()),
    ("more", models.JSONField(default=dict)),
    ("since", models.DateTimeField(db_default=Now())),
    ("maybe", models.IntegerField(null=True)),
    ("shelf", models.ForeignKey("mill.Shelf", models.CASCADE)),
    ("tags", models.ManyToManyField("mill.Tag")),
], options={{
    "indexes": [models.Index(fields=["name"], name="by_name")],
    "constraints": [
        models.CheckConstraint(condition=models.Q(name__lt="x"), name="name_early"),
        models.UniqueConstraint(fields=["name"], name="one_name"),
    ],
}}),
migrations.CreateModel("Old", [{KEY}, ("item", models.ForeignKey("mill.Item", models.CASCADE))]),
"""
COLUMNS = ("kind", "label", "stamp", "serial", "made", "note", "more", "since", "maybe", "shelf")
SECOND = "\n".join(
    [
        'operations.RemoveCheckIfPresent("Item", "name_early"),',
        'operations.RemoveUniqueIfPresent("Item", "one_name"),',
        'operations.DropIndexConcurrentlyIfPresent("Item", "by_name"),',
        *(f'operations.RemoveColumnIfPresent("Item", "{each}"),' for each in (*COLUMNS, "tags")),
        'operations.RemoveTableIfPresent("Old", allow_data_loss=True),',
    ]
)
SERIALS = """CREATE SEQUENCE serials;
INSERT INTO mill_shelf DEFAULT VALUES; INSERT INTO mill_tag DEFAULT VALUES"""

OLD_CODE = (
    """INSERT INTO mill_item (name, kind, label, stamp, serial, made, note, more, maybe, shelf_id)
    VALUES (concat('a', nextval('serials')), 1, '', gen_random_uuid(), nextval('serials'), now(), '',
    '{}', 1, 1)""",
    "INSERT INTO mill_old (item_id) SELECT max(id) FROM mill_item HAVING count(*) > 0",
    """INSERT INTO mill_item_tags (item_id, tag_id) SELECT max(id), 1 FROM mill_item
    HAVING count(*) > 0 ON CONFLICT DO NOTHING""",
    "UPDATE mill_item SET kind = 2, note = 'seen' WHERE id = (SELECT max(id) FROM mill_item)",
    """SELECT id, name, kind, label, stamp, serial, made, note, more, since, maybe, shelf_id FROM mill_item
    ORDER BY id DESC LIMIT 3""",
    "DELETE FROM mill_old WHERE id < (SELECT max(id) - 50 FROM mill_old)",
)
NEW_CODE = (
    "INSERT INTO mill_item (name) VALUES ('zebra')",
    "UPDATE mill_item SET name = 'yak' WHERE id = (SELECT max(id) FROM mill_item)",
    "SELECT id, name FROM mill_item ORDER BY id DESC LIMIT 3",
    "DELETE FROM mill_item WHERE id = (SELECT min(id) FROM mill_item)",  # also of rows that old ones refer to
)

OBJECTS = """
SELECT attrelid::regclass::text, attname::text, concat_ws(' ', format_type(atttypid, atttypmod),
    attnotnull, pg_get_expr(adbin, adrelid))
FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
LEFT JOIN pg_attrdef ON (adrelid, adnum) = (attrelid, attnum)
WHERE c.relname LIKE 'mill%' AND relkind = 'r' AND attnum > 0 AND NOT attisdropped
UNION ALL
SELECT conrelid::regclass::text, conname::text, concat_ws(' ', pg_get_constraintdef(oid), convalidated)
FROM pg_constraint WHERE conrelid::regclass::text LIKE 'mill%'
UNION ALL
SELECT indrelid::regclass::text, indexrelid::regclass::text,
    concat_ws(' ', pg_get_indexdef(indexrelid), indisvalid)
FROM pg_index WHERE indrelid::regclass::text LIKE 'mill%'
"""


def write_step(project: Project, operations: str, app: str = "mill") -> str:
    """Write the next migration, and return its name."""
    before = migration_names(project, app)
    name = f"{len(before) + 1:04}_step"
    source = SOURCE.format(
        initial=not before,
        dependencies=[(app, before[-1])] if before else [],
        operations=operations,
    )
    write_migration(project, name, source, app)
    return name


def release(project: Project, *steps: str) -> None:
    """Write and apply each step in the phase expand."""
    for each in steps:
        write_step(project, each)
        run_command(project, "migrate", "mill", "-v0", **EXPAND)


def contract(project: Project, *words: str, code: int = 0) -> tuple[str, str]:
    return run_command(project, "migrate", "--phase", "contract", *words, code=code)


def objects(project: Project) -> set[tuple[str, str, str]]:
    """Return the columns, constraints and indexes of the tables, with their definitions."""
    return {(table, name, text) for table, name, text in query(project, OBJECTS)}


def columns(project: Project, table: str = "mill_item") -> dict[str, str]:
    """Return the definition of each column of the table."""
    names = query(
        project,
        "SELECT attname FROM pg_attribute WHERE attnum > 0 AND NOT attisdropped "
        f"AND attrelid = to_regclass('{table}')",
    )
    known = {name: text for of, name, text in objects(project) if of == table}
    return {name: known[name] for (name,) in names}


def query(project: Project, sql: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(project.database.url, autocommit=True) as session:
        done = session.execute(sql.encode())
        return done.fetchall() if done.description else []


@contextmanager
def running(project: Project, statements: Sequence[str]) -> Iterator[None]:
    """Send the statements again and again from a session of each, and fail if one of them does.

    Before the block, and at its end, each has been sent five times more.
    """
    done, counts, failures = threading.Event(), [0] * len(statements), []

    def go(place: int) -> None:
        try:
            with psycopg.connect(project.database.url, autocommit=True) as session:
                session.execute("SET synchronous_commit = off")
                while not done.wait(0.002):
                    session.execute(statements[place].encode())
                    counts[place] += 1
        except psycopg.Error as error:
            failures.append((statements[place], error))

    def goes_on() -> None:
        wanted = [count + 5 for count in counts]
        wait_until(
            lambda: failures or all(a >= b for a, b in zip(counts, wanted, strict=True)),
            f"all statements were sent: {counts}",
        )

    threads = [threading.Thread(target=go, args=(place,)) for place in range(len(statements))]
    for thread in threads:
        thread.start()
    try:
        goes_on()
        yield
        goes_on()
    finally:
        done.set()
        for thread in threads:
            thread.join(DEADLINE)
    assert not failures, failures
