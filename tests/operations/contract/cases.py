"""One case for each thing that an operation can declare; test_contract.py holds what all must keep."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
from django.db import migrations, models
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ModelState
from django.db.models.functions import Coalesce, Upper

from signals import operations
from tests.operations import scratch_schema
from tests.operations.scratch_schema import PART_TABLE, SCHEMA, SERIAL, conninfo, part_model

COUNT = models.IntegerField(db_default=0)
GRADE = "CREATE TYPE grade AS ENUM ('low', 'high'); "


class Sized:
    """A base of a model that is no model."""


class Things(models.Manager):  # type: ignore[type-arg]
    use_in_migrations = True


@dataclass(frozen=True)
class Rival:
    """A database in which the declared name is taken: what makes it, and what the error says.

    found, wanted: as PostgreSQL prints them. fix: the advice; where it is SQL, running it heals.
    replaceable: whether on_different="replace" heals it too.
    """

    what: str
    sql: str
    name: str
    found: str
    wanted: str
    fix: str
    table: str = '"part"'
    component: str = ""
    replaceable: bool = False

    @property
    def repair(self) -> str:
        """The SQL of the advice, if it is SQL that loses nothing."""
        sql, _, _ = self.fix.partition("; and run again")
        return sql if sql.startswith(("ALTER", "DROP INDEX")) and "..." not in sql else ""


@dataclass(frozen=True)
class Case:
    """An operation, a database without what it declares, and hand-written SQL for one that has it.

    make: a new operation; full: the same class with every argument given.
    models: the state before. start: the SQL of the database before; done: the SQL that completes it.
    halves: what a killed run leaves, by hand or by a really failed build.
    bystanders: objects of the same name that are nobody's business, created before the start.
    after_back: what remains after going back; the start, unless it says otherwise.
    replacing: the same with on_different="replace", where the operation offers it.
    """

    name: str
    make: Callable[[], Any]
    full: Callable[[], Any]
    done: str
    describes: str
    fragment: str
    django: Callable[[], Operation] | None
    models: tuple[ModelState, ...] = (part_model(),)
    start: str = PART_TABLE
    halves: dict[str, str | Callable[[], None]] = field(default_factory=dict)
    bystanders: str = ""
    rivals: tuple[Rival, ...] = ()
    component: str = ""
    after_back: str | None = None
    replacing: Callable[[], Any] | None = None

    def __str__(self) -> str:
        return self.name

    @property
    def removes(self) -> bool:
        """Whether it is there that the component is gone."""
        return self.operation_class.__name__.endswith("IfPresent")

    @property
    def right(self) -> operations.Status:
        """The status of a component for which nothing is to be done."""
        return operations.Status.ABSENT if self.removes else operations.Status.EXISTS

    @property
    def operation_class(self) -> type[Any]:
        return type(self.make())

    def limited(self, **limits: float) -> Any:
        """The full operation with its own limits of waiting."""
        _, args, kwargs = self.full().deconstruct()
        limits = limits or {"lock_timeout": 0.02, "lock_wait": 0.2}
        return self.operation_class(*args, **kwargs, **limits)


WAITING = "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'"


def cancelled_build(sql: str, before: str = "") -> Callable[[], None]:
    """A concurrent build that really starts, waits for an old snapshot and is cancelled there."""

    def fail() -> None:
        if before:
            scratch_schema.execute(before)
        with (
            psycopg.connect(conninfo()) as holder,
            psycopg.connect(conninfo(), autocommit=True) as builder,
            ThreadPoolExecutor(1) as pool,
        ):
            holder.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            holder.execute("SELECT 1")
            builder.execute(f"SET search_path TO {SCHEMA}; SET client_min_messages = warning")
            build = pool.submit(builder.execute, sql)
            deadline = time.monotonic() + 60
            while not scratch_schema.rows(WAITING, [builder.info.backend_pid]):
                if build.done():
                    build.result()
                assert time.monotonic() < deadline, f"never waited: {sql}"
            builder.cancel_safe()
            with pytest.raises(psycopg.errors.QueryCanceled):
                build.result(timeout=60)
        assert scratch_schema.rows("SELECT 1 FROM pg_index WHERE NOT indisvalid")

    return fail


def violated_build(sql: str) -> Callable[[], None]:
    """A concurrent unique build that really fails on a duplicate, which then goes away."""

    def fail() -> None:
        scratch_schema.execute("INSERT INTO part (label, amount) VALUES ('bolt', 99)")
        with psycopg.connect(conninfo(), autocommit=True) as builder:
            builder.execute(f"SET search_path TO {SCHEMA}")
            with pytest.raises(psycopg.errors.UniqueViolation):
                builder.execute(sql)
        scratch_schema.execute("DELETE FROM part WHERE amount = 99")
        # The key that the failed insert drew is no part of what is compared.

    return fail


def check(**lookup: Any) -> models.CheckConstraint:
    return models.CheckConstraint(condition=models.Q(**lookup), name="part_amount_check")


LABEL_INDEX = models.Index(fields=["label"], name="part_label")
LABEL_KEY = models.UniqueConstraint(fields=["label"], name="part_label_key")

PIECE_FIELDS: list[tuple[str, Any]] = [
    ("id", SERIAL),
    ("part", models.ForeignKey("bench.part", models.CASCADE, db_index=False)),
    ("size", models.IntegerField(db_default=1)),
    ("code", models.CharField(max_length=20)),
]
PIECE_OPTIONS: dict[str, Any] = {
    "db_table": "piece",
    "indexes": [models.Index(fields=["size"], name="piece_size")],
    "constraints": [
        models.CheckConstraint(condition=models.Q(size__gt=0), name="piece_size_check"),
        models.UniqueConstraint(fields=["code"], name="piece_code_key"),
    ],
}
PIECE_KEY = "piece_part_id_cebfb8f4_fk_part_id"
PIECE_TABLE = """
CREATE TABLE piece (
    id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, part_id bigint NOT NULL,
    size integer DEFAULT 1 NOT NULL, code varchar(20) NOT NULL);
"""
PIECE_CHECK = "ALTER TABLE piece ADD CONSTRAINT piece_size_check CHECK (size > 0)"
PIECE_UNIQUE = "ALTER TABLE piece ADD CONSTRAINT piece_code_key UNIQUE (code);"
PIECE_INDEX = "CREATE INDEX piece_size ON piece (size);"
PIECE_FOREIGN = (
    f"ALTER TABLE piece ADD CONSTRAINT {PIECE_KEY} FOREIGN KEY (part_id) REFERENCES part (id) "
    "DEFERRABLE INITIALLY DEFERRED"
)
PIECE = f"{PIECE_TABLE}{PIECE_CHECK};{PIECE_UNIQUE}{PIECE_INDEX}{PIECE_FOREIGN};"

NOT_NULL_PROOF = "part_label_2fec4f12_notnull"

STOCK_INDEX, SERIAL_KEY = "part_stock_b6b08b45", "part_serial_fe84b521_uniq"
PARENT_KEY = (
    "ALTER TABLE part ADD CONSTRAINT part_parent_id_16877b79_fk_part_id "
    "FOREIGN KEY (parent_id) REFERENCES part (id) DEFERRABLE INITIALLY DEFERRED"
)

CODE_KEY, CODE_LIKE = "part_code_c89eb1aa_uniq", "part_code_c89eb1aa_like"
PARENT_INDEX = "part_parent_id_16877b79"
LOOSE_PARENT = models.ForeignKey(
    "bench.part", models.CASCADE, null=True, db_constraint=False, db_index=False
)
TWINS_TABLE = """
CREATE TABLE part_twins (
    id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    from_part_id bigint NOT NULL, to_part_id bigint NOT NULL);
"""
TWINS = f"""
{TWINS_TABLE}
ALTER TABLE part_twins ADD CONSTRAINT part_twins_from_part_id_to_part_id_25dc171a_uniq
    UNIQUE (from_part_id, to_part_id);
ALTER TABLE part_twins ADD CONSTRAINT part_twins_from_part_id_5da38a81_fk_part_id
    FOREIGN KEY (from_part_id) REFERENCES part (id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE part_twins ADD CONSTRAINT part_twins_to_part_id_f17a6866_fk_part_id
    FOREIGN KEY (to_part_id) REFERENCES part (id) DEFERRABLE INITIALLY DEFERRED;
CREATE INDEX part_twins_from_part_id_5da38a81 ON part_twins (from_part_id);
CREATE INDEX part_twins_to_part_id_f17a6866 ON part_twins (to_part_id);
"""

CASES = (
    Case(
        name="column with a default",
        make=lambda: operations.AddColumnIfMissing(
            "part", "state", models.TextField(db_default="candidate")
        ),
        full=lambda: operations.AddColumnIfMissing(
            "part",
            "state",
            models.TextField(null=True, db_default="candidate"),
            preserve_default=False,
            keep_on_reverse=True,
            altered_later=True,
            leave_existing_null=True,
            allow_rewrite=True,
        ),
        done="ALTER TABLE part ADD COLUMN state text DEFAULT 'candidate' NOT NULL",
        describes="Add column state to part if missing",
        fragment="part_state",
        django=lambda: migrations.AddField(
            "part", "state", models.TextField(db_default="candidate")
        ),
        bystanders="CREATE TABLE other (state integer); CREATE TABLE aside.part (state integer)",
        component="column",
        rivals=(
            Rival(
                "another type",
                "ALTER TABLE part ADD COLUMN state varchar(9) DEFAULT 'candidate' NOT NULL",
                "state",
                "character varying(9) DEFAULT 'candidate'::character varying NOT NULL",
                "text DEFAULT 'candidate'::text NOT NULL",
                'ALTER TABLE "part" ALTER COLUMN "state" TYPE text USING "state"::text, '
                """ALTER COLUMN "state" SET DEFAULT 'candidate'::text;""",
            ),
            Rival(
                "another type and another default",
                "ALTER TABLE part ADD COLUMN state integer DEFAULT 7 NOT NULL",
                "state",
                "integer DEFAULT 7 NOT NULL",
                "text DEFAULT 'candidate'::text NOT NULL",
                'ALTER TABLE "part" ALTER COLUMN "state" TYPE text USING "state"::text, '
                """ALTER COLUMN "state" SET DEFAULT 'candidate'::text;""",
            ),
            Rival(
                "nullable",
                "ALTER TABLE part ADD COLUMN state text DEFAULT 'candidate'",
                "state",
                "text DEFAULT 'candidate'::text",
                "text DEFAULT 'candidate'::text NOT NULL",
                'ALTER TABLE "part" ALTER COLUMN "state" SET NOT NULL;',
            ),
            Rival(
                "another default",
                "ALTER TABLE part ADD COLUMN state text DEFAULT 'verified' NOT NULL",
                "state",
                "text DEFAULT 'verified'::text NOT NULL",
                "text DEFAULT 'candidate'::text NOT NULL",
                """ALTER TABLE "part" ALTER COLUMN "state" SET DEFAULT 'candidate'::text;""",
            ),
            Rival(
                "no default",
                "ALTER TABLE part ADD COLUMN state text; UPDATE part SET state = 'candidate'; "
                "ALTER TABLE part ALTER COLUMN state SET NOT NULL",
                "state",
                "text NOT NULL",
                "text DEFAULT 'candidate'::text NOT NULL",
                """ALTER TABLE "part" ALTER COLUMN "state" SET DEFAULT 'candidate'::text;""",
            ),
            Rival(
                "another collation",
                """ALTER TABLE part ADD COLUMN state text COLLATE "C" DEFAULT 'candidate' NOT NULL""",
                "state",
                """text COLLATE "C" DEFAULT 'candidate'::text NOT NULL""",
                "text DEFAULT 'candidate'::text NOT NULL",
                'ALTER TABLE "part" ALTER COLUMN "state" TYPE text USING "state"::text;',
            ),
            Rival(
                "generated",
                "ALTER TABLE part ADD COLUMN state text NOT NULL "
                "GENERATED ALWAYS AS ('candidate'::text) STORED",
                "state",
                "text GENERATED ALWAYS AS ('candidate'::text) STORED NOT NULL",
                "text DEFAULT 'candidate'::text NOT NULL",
                'rename or drop column "state" of "part", and run again',
            ),
        ),
    ),
    Case(
        name="foreign key column without a constraint",
        make=lambda: operations.AddColumnIfMissing(
            "part",
            "parent",
            models.ForeignKey(
                "bench.part", models.CASCADE, null=True, db_constraint=False, db_index=False
            ),
        ),
        full=lambda: operations.AddColumnIfMissing(
            "part",
            "parent",
            models.ForeignKey(
                "bench.part", models.CASCADE, null=True, db_constraint=False, db_index=False
            ),
            False,
            keep_on_reverse=True,
            altered_later=True,
            leave_existing_null=True,
            allow_rewrite=True,
        ),
        done="ALTER TABLE part ADD COLUMN parent_id bigint",
        describes="Add column parent to part if missing",
        fragment="part_parent",
        django=lambda: migrations.AddField(
            "part",
            "parent",
            models.ForeignKey(
                "bench.part", models.CASCADE, null=True, db_constraint=False, db_index=False
            ),
        ),
        bystanders="CREATE TABLE other (parent_id text)",
        component="column",
        rivals=(
            Rival(
                "the type of the key's text",
                "ALTER TABLE part ADD COLUMN parent_id text",
                "parent_id",
                "text",
                "bigint",
                'ALTER TABLE "part" ALTER COLUMN "parent_id" TYPE bigint USING "parent_id"::bigint;',
            ),
        ),
    ),
    Case(
        name="column with an index",
        make=lambda: operations.AddColumnIfMissing(
            "part", "stock", models.IntegerField(null=True, db_index=True)
        ),
        full=lambda: operations.AddColumnIfMissing(
            "part",
            "stock",
            models.IntegerField(null=True, db_index=True),
            False,
            keep_on_reverse=True,
            altered_later=True,
            leave_existing_null=True,
            allow_rewrite=True,
        ),
        done=f"ALTER TABLE part ADD COLUMN stock integer; CREATE INDEX {STOCK_INDEX} ON part (stock)",
        describes="Add column stock to part if missing",
        fragment="part_stock",
        django=lambda: migrations.AddField(
            "part", "stock", models.IntegerField(null=True, db_index=True)
        ),
        halves={
            "bare column": "ALTER TABLE part ADD COLUMN stock integer",
            "cancelled build": cancelled_build(
                f"CREATE INDEX CONCURRENTLY {STOCK_INDEX} ON part (stock)",
                "ALTER TABLE part ADD COLUMN stock integer",
            ),
        },
        bystanders="CREATE TABLE other (stock integer)",
        component="index",
        rivals=(
            Rival(
                "its index on another column",
                "ALTER TABLE part ADD COLUMN stock integer;"
                f"CREATE INDEX {STOCK_INDEX} ON part (amount)",
                STOCK_INDEX,
                f"CREATE INDEX {STOCK_INDEX} ON bench.part USING btree (amount)",
                f'CREATE INDEX {STOCK_INDEX} ON "part" USING btree (stock)',
                f'DROP INDEX CONCURRENTLY "bench"."{STOCK_INDEX}"; and run again',
            ),
        ),
    ),
    Case(
        name="unique column",
        make=lambda: operations.AddColumnIfMissing(
            "part", "serial", models.IntegerField(null=True, unique=True)
        ),
        full=lambda: operations.AddColumnIfMissing(
            "part",
            "serial",
            models.IntegerField(null=True, unique=True),
            False,
            keep_on_reverse=True,
            altered_later=True,
            leave_existing_null=True,
            allow_rewrite=True,
        ),
        done="ALTER TABLE part ADD COLUMN serial integer; "
        f"ALTER TABLE part ADD CONSTRAINT {SERIAL_KEY} UNIQUE (serial)",
        describes="Add column serial to part if missing",
        fragment="part_serial",
        django=lambda: migrations.AddField(
            "part", "serial", models.IntegerField(null=True, unique=True)
        ),
        halves={
            "bare column": "ALTER TABLE part ADD COLUMN serial integer",
            "index that is no constraint yet": "ALTER TABLE part ADD COLUMN serial integer;"
            f"CREATE UNIQUE INDEX {SERIAL_KEY} ON part (serial)",
        },
        bystanders="CREATE TABLE other (serial integer UNIQUE)",
        component="unique",
    ),
    Case(
        name="foreign key column",
        make=lambda: operations.AddColumnIfMissing(
            "part", "parent", models.ForeignKey("bench.part", models.CASCADE, null=True)
        ),
        full=lambda: operations.AddColumnIfMissing(
            "part",
            "parent",
            models.ForeignKey("bench.part", models.CASCADE, null=True),
            False,
            keep_on_reverse=True,
            altered_later=True,
            leave_existing_null=True,
            allow_rewrite=True,
        ),
        done=f"ALTER TABLE part ADD COLUMN parent_id bigint; {PARENT_KEY};"
        "CREATE INDEX part_parent_id_16877b79 ON part (parent_id)",
        describes="Add column parent to part if missing",
        fragment="part_parent",
        django=lambda: migrations.AddField(
            "part", "parent", models.ForeignKey("bench.part", models.CASCADE, null=True)
        ),
        halves={
            "bare column": "ALTER TABLE part ADD COLUMN parent_id bigint",
            "foreign key not valid": "ALTER TABLE part ADD COLUMN parent_id bigint;"
            f"{PARENT_KEY} NOT VALID",
            "index missing": f"ALTER TABLE part ADD COLUMN parent_id bigint; {PARENT_KEY}",
        },
        bystanders="CREATE TABLE other (parent_id bigint)",
        component="foreign key",
        rivals=(
            Rival(
                "a foreign key to another table",
                "CREATE TABLE other (id bigint PRIMARY KEY);"
                "ALTER TABLE part ADD COLUMN parent_id bigint CONSTRAINT theirs REFERENCES other",
                "theirs",
                "FOREIGN KEY (parent_id) REFERENCES other(id)",
                'FOREIGN KEY ("parent_id") REFERENCES "part" (id)',
                'ALTER TABLE "part" DROP CONSTRAINT "theirs"; and run again',
            ),
        ),
    ),
    Case(
        name="check",
        make=lambda: operations.AddCheckIfMissing("part", check(amount__gte=0)),
        full=lambda: operations.AddCheckIfMissing(
            "part", check(amount__gte=0), on_different="replace"
        ),
        replacing=lambda: operations.AddCheckIfMissing(
            "part", check(amount__gte=0), on_different="replace"
        ),
        done="ALTER TABLE part ADD CONSTRAINT part_amount_check CHECK (amount >= 0)",
        describes="Add check part_amount_check to part if missing",
        fragment="part_part_amount_check",
        django=lambda: migrations.AddConstraint("part", check(amount__gte=0)),
        halves={
            "not valid": "ALTER TABLE part ADD CONSTRAINT part_amount_check CHECK (amount >= 0) NOT VALID"
        },
        bystanders="CREATE TABLE other (amount text CONSTRAINT part_amount_check CHECK (amount > 'x'));"
        "CREATE TABLE aside.part (amount int CONSTRAINT part_amount_check CHECK (amount > 5))",
        component="check",
        rivals=(
            Rival(
                "another expression",
                "ALTER TABLE part ADD CONSTRAINT part_amount_check CHECK (amount > 0)",
                "part_amount_check",
                "CHECK ((amount > 0))",
                "CHECK ((amount >= 0))",
                'ALTER TABLE "part" DROP CONSTRAINT "part_amount_check"; and run again',
                replaceable=True,
            ),
            Rival(
                "another expression, not valid",
                "ALTER TABLE part ADD CONSTRAINT part_amount_check CHECK (amount > 0) NOT VALID",
                "part_amount_check",
                "CHECK ((amount > 0)) NOT VALID",
                "CHECK ((amount >= 0))",
                'ALTER TABLE "part" DROP CONSTRAINT "part_amount_check"; and run again',
                replaceable=True,
            ),
            Rival(
                "a unique constraint",
                "ALTER TABLE part ADD CONSTRAINT part_amount_check UNIQUE (amount)",
                "part_amount_check",
                "UNIQUE (amount)",
                "CHECK ((amount >= 0))",
                'ALTER TABLE "part" DROP CONSTRAINT "part_amount_check"; and run again',
            ),
            Rival(
                "not inherited",
                "ALTER TABLE part ADD CONSTRAINT part_amount_check CHECK (amount >= 0) NO INHERIT",
                "part_amount_check",
                "CHECK ((amount >= 0)) NO INHERIT",
                "CHECK ((amount >= 0))",
                'ALTER TABLE "part" DROP CONSTRAINT "part_amount_check"; and run again',
                replaceable=True,
            ),
        ),
    ),
    Case(
        name="index",
        make=lambda: operations.CreateIndexConcurrentlyIfMissing("part", LABEL_INDEX),
        full=lambda: operations.CreateIndexConcurrentlyIfMissing(
            "part",
            LABEL_INDEX,
            fallbacks=[models.Index(fields=["amount"], name="part_amount")],
            on_different="replace",
            keep_on_reverse=True,
        ),
        replacing=lambda: operations.CreateIndexConcurrentlyIfMissing(
            "part", LABEL_INDEX, on_different="replace"
        ),
        done="CREATE INDEX part_label ON part (label)",
        describes="Create index part_label on part concurrently if missing",
        fragment="part_part_label",
        django=lambda: migrations.AddIndex("part", LABEL_INDEX),
        halves={
            "cancelled build": cancelled_build(
                "CREATE INDEX CONCURRENTLY part_label ON part (label)"
            )
        },
        bystanders="CREATE TABLE aside.part (label text); CREATE INDEX part_label ON aside.part (label);"
        "CREATE TABLE other (label text CONSTRAINT part_label CHECK (label > ''))",
        component="index",
        rivals=(
            Rival(
                "another column",
                "CREATE INDEX part_label ON part (amount)",
                "part_label",
                "CREATE INDEX part_label ON bench.part USING btree (amount)",
                'CREATE INDEX part_label ON "part" USING btree (label)',
                'DROP INDEX CONCURRENTLY "bench"."part_label"; and run again',
                replaceable=True,
            ),
            Rival(
                "unique",
                "CREATE UNIQUE INDEX part_label ON part (label)",
                "part_label",
                "CREATE UNIQUE INDEX part_label ON bench.part USING btree (label)",
                'CREATE INDEX part_label ON "part" USING btree (label)',
                'DROP INDEX CONCURRENTLY "bench"."part_label"; and run again',
                replaceable=True,
            ),
            Rival(
                "of another table",
                "CREATE TABLE other (label text); CREATE INDEX part_label ON other (label)",
                "part_label",
                "an index of table other",
                'an index of table "part"',
                'rename it: ALTER INDEX "bench"."part_label" RENAME TO ...',
            ),
            Rival(
                "a view",
                "CREATE VIEW part_label AS SELECT 1",
                "part_label",
                "a relation that is no index",
                'an index of table "part"',
                'rename it: ALTER VIEW "bench"."part_label" RENAME TO ...',
            ),
            Rival(
                "a table",
                "CREATE TABLE part_label ()",
                "part_label",
                "a relation that is no index",
                'an index of table "part"',
                'rename it: ALTER TABLE "bench"."part_label" RENAME TO ...',
            ),
        ),
    ),
    Case(
        name="unique constraint",
        make=lambda: operations.AddUniqueIfMissing("part", LABEL_KEY),
        full=lambda: operations.AddUniqueIfMissing("part", LABEL_KEY, on_different="replace"),
        replacing=lambda: operations.AddUniqueIfMissing("part", LABEL_KEY, on_different="replace"),
        done="ALTER TABLE part ADD CONSTRAINT part_label_key UNIQUE (label)",
        describes="Make part_label_key of part unique if missing",
        fragment="part_part_label_key",
        django=lambda: migrations.AddConstraint("part", LABEL_KEY),
        halves={
            "build that failed on duplicates": violated_build(
                "CREATE UNIQUE INDEX CONCURRENTLY part_label_key ON part (label)"
            ),
            "cancelled build": cancelled_build(
                "CREATE UNIQUE INDEX CONCURRENTLY part_label_key ON part (label)"
            ),
            "index that is no constraint yet": "CREATE UNIQUE INDEX part_label_key ON part (label)",
        },
        bystanders="CREATE TABLE aside.part (label text CONSTRAINT part_label_key UNIQUE);"
        "CREATE TABLE other (label text CONSTRAINT part_label_key CHECK (label > ''))",
        component="unique",
        rivals=(
            Rival(
                "another column",
                "ALTER TABLE part ADD CONSTRAINT part_label_key UNIQUE (amount)",
                "part_label_key",
                "UNIQUE (amount)",
                "UNIQUE (label)",
                'ALTER TABLE "part" DROP CONSTRAINT "part_label_key"; and run again',
                replaceable=True,
            ),
            Rival(
                "deferrable",
                "ALTER TABLE part ADD CONSTRAINT part_label_key UNIQUE (label) DEFERRABLE",
                "part_label_key",
                "UNIQUE (label) DEFERRABLE",
                "UNIQUE (label)",
                'ALTER TABLE "part" DROP CONSTRAINT "part_label_key"; and run again',
                replaceable=True,
            ),
            Rival(
                "an index that is not unique",
                "CREATE INDEX part_label_key ON part (label)",
                "part_label_key",
                "CREATE INDEX part_label_key ON bench.part USING btree (label)",
                "UNIQUE (label)",
                'DROP INDEX CONCURRENTLY "bench"."part_label_key"; and run again',
                replaceable=True,
            ),
            Rival(
                "a check",
                "ALTER TABLE part ADD CONSTRAINT part_label_key CHECK (label > '')",
                "part_label_key",
                "CHECK ((label > ''::text))",
                "UNIQUE (label)",
                'ALTER TABLE "part" DROP CONSTRAINT "part_label_key"; and run again',
            ),
            Rival(
                "of another table",
                "CREATE TABLE other (label text CONSTRAINT part_label_key UNIQUE)",
                "part_label_key",
                "an index of table other",
                'an index of table "part"',
                'rename it: ALTER INDEX "bench"."part_label_key" RENAME TO ...',
            ),
        ),
    ),
    Case(
        name="unique index with a condition",
        make=lambda: operations.AddUniqueIfMissing(
            "part",
            models.UniqueConstraint(
                fields=["label"], condition=models.Q(amount__gt=0), name="part_label_key"
            ),
        ),
        full=lambda: operations.AddUniqueIfMissing(
            "part",
            models.UniqueConstraint(Upper("label"), name="part_label_key"),
            on_different="replace",
        ),
        replacing=lambda: operations.AddUniqueIfMissing(
            "part",
            models.UniqueConstraint(
                fields=["label"], condition=models.Q(amount__gt=0), name="part_label_key"
            ),
            on_different="replace",
        ),
        done="CREATE UNIQUE INDEX part_label_key ON part (label) WHERE amount > 0",
        describes="Make part_label_key of part unique if missing",
        fragment="part_part_label_key",
        django=lambda: migrations.AddConstraint(
            "part",
            models.UniqueConstraint(
                fields=["label"], condition=models.Q(amount__gt=0), name="part_label_key"
            ),
        ),
        halves={
            "build that failed on duplicates": violated_build(
                "CREATE UNIQUE INDEX CONCURRENTLY part_label_key ON part (label) WHERE amount > 0"
            )
        },
        component="unique",
        rivals=(
            Rival(
                "another condition",
                "CREATE UNIQUE INDEX part_label_key ON part (label) WHERE amount > 1",
                "part_label_key",
                "CREATE UNIQUE INDEX part_label_key ON bench.part USING btree (label) "
                "WHERE (amount > 1)",
                'CREATE UNIQUE INDEX part_label_key ON "part" USING btree (label) '
                "WHERE (amount > 0)",
                'DROP INDEX CONCURRENTLY "bench"."part_label_key"; and run again',
                replaceable=True,
            ),
        ),
    ),
    Case(
        name="table",
        make=lambda: operations.CreateTableIfMissing("Piece", PIECE_FIELDS, PIECE_OPTIONS),
        full=lambda: operations.CreateTableIfMissing(
            "Piece",
            PIECE_FIELDS,
            PIECE_OPTIONS,
            bases=(Sized, models.Model),
            managers=[("things", Things())],
            altered_later=["size"],
            keep_on_reverse=True,
        ),
        done=PIECE,
        describes="Create table of Piece if missing",
        fragment="piece",
        django=lambda: migrations.CreateModel("Piece", PIECE_FIELDS, PIECE_OPTIONS),
        halves={
            "bare table": PIECE_TABLE,
            "without a column": PIECE_TABLE.replace("size integer DEFAULT 1 NOT NULL, ", ""),
            "check not valid": f"{PIECE_TABLE}{PIECE_CHECK} NOT VALID",
            "foreign key not valid": f"{PIECE_TABLE}{PIECE_FOREIGN} NOT VALID",
            "index missing": f"{PIECE_TABLE}{PIECE_CHECK};{PIECE_UNIQUE}{PIECE_FOREIGN}",
            "index invalid": cancelled_build(
                "CREATE INDEX CONCURRENTLY piece_size ON piece (size)", PIECE_TABLE
            ),
        },
        bystanders="CREATE TABLE aside.piece (id text)",
        component="column",
        rivals=(
            Rival(
                "a column of another type",
                PIECE.replace("varchar(20)", "varchar(10)"),
                "code",
                "character varying(10) NOT NULL",
                "character varying(20) NOT NULL",
                'ALTER TABLE "piece" ALTER COLUMN "code" TYPE character varying(20) '
                'USING "code"::character varying(20);',
                table='"piece"',
            ),
            Rival(
                "no primary key",
                "CREATE TABLE piece (id bigint)",
                "piece",
                "no primary key",
                'PRIMARY KEY ("id")',
                'CREATE UNIQUE INDEX CONCURRENTLY "piece_pkey" ON "piece" ("id"); '
                'ALTER TABLE "piece" ADD CONSTRAINT "piece_pkey" PRIMARY KEY USING INDEX "piece_pkey";',
                table='"piece"',
                component="table",
            ),
            Rival(
                "a view",
                "CREATE VIEW piece AS SELECT 1 AS id",
                "piece",
                "a relation of kind 'v'",
                "a table",
                'rename it (ALTER TABLE "piece" RENAME TO ...), or correct it by hand',
                table='"piece"',
                component="table",
            ),
            Rival(
                "a foreign key to another table",
                "CREATE TABLE other (id bigint PRIMARY KEY);"
                + PIECE.replace("REFERENCES part", "REFERENCES other"),
                PIECE_KEY,
                "FOREIGN KEY (part_id) REFERENCES other(id) DEFERRABLE INITIALLY DEFERRED",
                'FOREIGN KEY ("part_id") REFERENCES "part" (id)',
                f'ALTER TABLE "piece" DROP CONSTRAINT "{PIECE_KEY}"; and run again',
                table='"piece"',
                component="foreign key",
            ),
            Rival(
                "another check",
                PIECE.replace("size > 0", "size > 1"),
                "piece_size_check",
                "CHECK ((size > 1))",
                "CHECK ((size > 0))",
                'ALTER TABLE "piece" DROP CONSTRAINT "piece_size_check"; and run again',
                table='"piece"',
                component="check",
            ),
        ),
    ),
    Case(
        name="enum",
        make=lambda: operations.CreateEnumIfMissing("grade", ["low", "mid", "high"]),
        full=lambda: operations.CreateEnumIfMissing(
            "grade", ["low", "mid"], later_values=["high"], keep_on_reverse=True
        ),
        done="CREATE TYPE grade AS ENUM ('low', 'mid', 'high')",
        describes="Create enum grade if missing",
        fragment="enum_grade",
        django=None,
        halves={
            "last value missing": "CREATE TYPE grade AS ENUM ('low', 'mid')",
            "value between missing": "CREATE TYPE grade AS ENUM ('low', 'high')",
            "first value missing": "CREATE TYPE grade AS ENUM ('mid', 'high')",
            "only the last value": "CREATE TYPE grade AS ENUM ('high')",
            "no value": "CREATE TYPE grade AS ENUM ()",
        },
        bystanders="CREATE TYPE aside.grade AS ENUM ('a')",
        component="enum",
        rivals=(
            Rival(
                "a value that is not declared",
                "CREATE TYPE grade AS ENUM ('low', 'mid', 'high', 'top')",
                "grade",
                "low, mid, high, top",
                "low, mid, high",
                "rename the values (ALTER TYPE ... RENAME VALUE), or declare them in the operation",
                table="",
            ),
            Rival(
                "another order",
                "CREATE TYPE grade AS ENUM ('high', 'low', 'mid')",
                "grade",
                "high, low, mid",
                "low, mid, high",
                "rename the values (ALTER TYPE ... RENAME VALUE), or declare them in the operation",
                table="",
            ),
        ),
    ),
    Case(
        name="column type",
        make=lambda: operations.AlterColumnTypeIfDifferent(
            "part", "amount", models.BigIntegerField(null=True), allow_rewrite=True
        ),
        full=lambda: operations.AlterColumnTypeIfDifferent(
            "part",
            "amount",
            models.BigIntegerField(null=True),
            preserve_default=False,
            using="amount + 1",
            allow_rewrite=True,
            keep_on_reverse=True,
            altered_later=True,
        ),
        done="ALTER TABLE part ALTER COLUMN amount TYPE bigint",
        describes="Alter type of amount on part if different",
        fragment="alter_part_amount",
        django=lambda: migrations.AlterField("part", "amount", models.BigIntegerField(null=True)),
        bystanders="CREATE TABLE other (amount text); CREATE TABLE aside.part (amount text)",
        component="type",
        rivals=(
            Rival(
                "neither the former type nor the declared one",
                "ALTER TABLE part ALTER COLUMN amount TYPE text",
                "amount",
                "text",
                "bigint",
                'ALTER TABLE "part" ALTER COLUMN "amount" TYPE bigint USING "amount"::bigint;',
            ),
            Rival(
                "the declared type, but not null",
                "ALTER TABLE part ALTER COLUMN amount TYPE bigint, ALTER COLUMN amount SET NOT NULL",
                "amount",
                "bigint NOT NULL",
                "bigint",
                'ALTER TABLE "part" ALTER COLUMN "amount" DROP NOT NULL;',
            ),
        ),
    ),
    Case(
        name="not null",
        make=lambda: operations.SetNotNullIfNullable("part", "label", models.TextField()),
        full=lambda: operations.SetNotNullIfNullable(
            "part",
            "label",
            models.TextField(),
            preserve_default=False,
            keep_on_reverse=True,
            altered_later=True,
        ),
        done="ALTER TABLE part ALTER COLUMN label SET NOT NULL",
        describes="Make label of part not null if nullable",
        fragment="alter_part_label",
        django=lambda: migrations.AlterField("part", "label", models.TextField()),
        halves={
            "proof not valid": f"ALTER TABLE part ADD CONSTRAINT {NOT_NULL_PROOF} "
            "CHECK (label IS NOT NULL) NOT VALID",
            "proof valid": f"ALTER TABLE part ADD CONSTRAINT {NOT_NULL_PROOF} "
            "CHECK (label IS NOT NULL)",
            "proof not dropped": f"ALTER TABLE part ADD CONSTRAINT {NOT_NULL_PROOF} "
            "CHECK (label IS NOT NULL), ALTER COLUMN label SET NOT NULL",
        },
        bystanders="CREATE TABLE aside.part (label text NOT NULL)",
        component="not null",
        rivals=(
            Rival(
                "another type",
                "ALTER TABLE part ALTER COLUMN label TYPE varchar(9)",
                "label",
                "character varying(9) NOT NULL",
                "text NOT NULL",
                'ALTER TABLE "part" ALTER COLUMN "label" TYPE text USING "label"::text;',
            ),
        ),
    ),
    Case(
        name="backfill",
        make=lambda: operations.BackfillInBatches(
            "part", "label", Coalesce(models.F("label"), models.Value("none")), batch_size=2
        ),
        full=lambda: operations.BackfillInBatches(
            "part",
            "label",
            Coalesce(models.F("label"), models.Value("none")),
            batch_size=2,
            pause=0.25,
        ),
        start=f"{PART_TABLE} UPDATE part SET label = NULL WHERE id > 1;"
        "INSERT INTO part (amount) SELECT n FROM generate_series(10, 14) n",
        done="UPDATE part SET label = 'none' WHERE label IS NULL",
        describes="Fill label of part in batches where it is null",
        fragment="fill_part_label",
        django=None,
        halves={"some batches": "UPDATE part SET label = 'none' WHERE id IN (2, 3)"},
        component="rows",
        after_back="UPDATE part SET label = 'none' WHERE label IS NULL",
    ),
    Case(
        name="positive column",
        make=lambda: operations.AddColumnIfMissing(
            "part", "stock", models.PositiveIntegerField(db_default=0)
        ),
        full=lambda: operations.AddColumnIfMissing(
            "part",
            "stock",
            models.PositiveIntegerField(null=True),
            False,
            keep_on_reverse=True,
            altered_later=True,
            leave_existing_null=True,
            allow_rewrite=True,
        ),
        done="ALTER TABLE part ADD COLUMN stock integer DEFAULT 0 NOT NULL CHECK (stock >= 0)",
        describes="Add column stock to part if missing",
        fragment="part_stock",
        django=lambda: migrations.AddField(
            "part", "stock", models.PositiveIntegerField(db_default=0)
        ),
        halves={
            "bare column": "ALTER TABLE part ADD COLUMN stock integer DEFAULT 0 NOT NULL",
            "check not valid": "ALTER TABLE part ADD COLUMN stock integer DEFAULT 0 NOT NULL;"
            "ALTER TABLE part ADD CONSTRAINT part_stock_check CHECK (stock >= 0) NOT VALID",
        },
        bystanders="CREATE TABLE other (stock integer CHECK (stock > 1))",
        component="column",
    ),
    Case(
        name="column of a unique text",
        make=lambda: operations.AddColumnIfMissing(
            "part", "code", models.CharField(max_length=9, null=True, unique=True)
        ),
        full=lambda: operations.AddColumnIfMissing(
            "part",
            "code",
            models.CharField(max_length=9, null=True, unique=True),
            False,
            keep_on_reverse=True,
            altered_later=True,
            leave_existing_null=True,
            allow_rewrite=True,
        ),
        done="ALTER TABLE part ADD COLUMN code varchar(9);"
        f"ALTER TABLE part ADD CONSTRAINT {CODE_KEY} UNIQUE (code);"
        f"CREATE INDEX {CODE_LIKE} ON part (code varchar_pattern_ops)",
        describes="Add column code to part if missing",
        fragment="part_code",
        django=lambda: migrations.AddField(
            "part", "code", models.CharField(max_length=9, null=True, unique=True)
        ),
        halves={
            "bare column": "ALTER TABLE part ADD COLUMN code varchar(9)",
            "without the index for patterns": "ALTER TABLE part ADD COLUMN code varchar(9);"
            f"ALTER TABLE part ADD CONSTRAINT {CODE_KEY} UNIQUE (code)",
        },
        bystanders="CREATE TABLE other (code varchar(9) UNIQUE)",
        component="unique",
    ),
    Case(
        name="column that is a table",
        make=lambda: operations.AddColumnIfMissing(
            "part", "twins", models.ManyToManyField("bench.part")
        ),
        full=lambda: operations.AddColumnIfMissing(
            "part",
            "twins",
            models.ManyToManyField("bench.part", null=True),
            False,
            keep_on_reverse=True,
            altered_later=True,
            leave_existing_null=True,
            allow_rewrite=True,
        ),
        done=TWINS,
        describes="Add column twins to part if missing",
        fragment="part_twins",
        django=lambda: migrations.AddField("part", "twins", models.ManyToManyField("bench.part")),
        halves={
            "bare table": TWINS_TABLE,
            "without a column": TWINS_TABLE.replace(", to_part_id bigint NOT NULL", ""),
        },
        bystanders="CREATE TABLE aside.part_twins (id text)",
        component="table",
    ),
    Case(
        name="foreign key",
        make=lambda: operations.AddForeignKeyIfMissing(
            "part", "parent", models.ForeignKey("bench.part", models.CASCADE, null=True)
        ),
        full=lambda: operations.AddForeignKeyIfMissing(
            "part",
            "parent",
            models.ForeignKey("bench.part", models.CASCADE, null=True),
            preserve_default=False,
            altered_later=True,
        ),
        models=(part_model(("parent", LOOSE_PARENT)),),
        start=f"{PART_TABLE} ALTER TABLE part ADD COLUMN parent_id bigint;",
        done=f"CREATE INDEX {PARENT_INDEX} ON part (parent_id); {PARENT_KEY}",
        describes="Add foreign key parent to part if missing",
        fragment="alter_part_parent",
        django=lambda: migrations.AlterField(
            "part", "parent", models.ForeignKey("bench.part", models.CASCADE, null=True)
        ),
        halves={
            "cancelled build": cancelled_build(
                f"CREATE INDEX CONCURRENTLY {PARENT_INDEX} ON part (parent_id)"
            ),
            "index alone": f"CREATE INDEX {PARENT_INDEX} ON part (parent_id)",
            "not valid": f"CREATE INDEX {PARENT_INDEX} ON part (parent_id); {PARENT_KEY} NOT VALID",
            "without its index": PARENT_KEY,
        },
        bystanders="CREATE TABLE aside.part (parent_id bigint)",
        component="foreign key",
        rivals=(
            Rival(
                "to another table",
                "CREATE TABLE other (id bigint PRIMARY KEY);"
                "ALTER TABLE part ADD CONSTRAINT theirs FOREIGN KEY (parent_id) REFERENCES other",
                "theirs",
                "FOREIGN KEY (parent_id) REFERENCES other(id)",
                'FOREIGN KEY ("parent_id") REFERENCES "part" (id)',
                'ALTER TABLE "part" DROP CONSTRAINT "theirs"; and run again',
            ),
            Rival(
                "a column of another type",
                "ALTER TABLE part ALTER COLUMN parent_id TYPE integer",
                "parent_id",
                "integer",
                "bigint",
                'ALTER TABLE "part" ALTER COLUMN "parent_id" TYPE bigint USING "parent_id"::bigint;',
                component="column",
            ),
        ),
    ),
    Case(
        name="removed column",
        make=lambda: operations.RemoveColumnIfPresent("part", "amount"),
        full=lambda: operations.RemoveColumnIfPresent("part", "amount"),
        start=f"{PART_TABLE} ALTER TABLE part DROP COLUMN amount;"
        "ALTER TABLE part ADD COLUMN amount integer;",
        done="ALTER TABLE part DROP COLUMN amount",
        describes="Remove column amount from part if present",
        fragment="remove_part_amount",
        django=lambda: migrations.RemoveField("part", "amount"),
        bystanders="CREATE TABLE other (amount integer); CREATE TABLE aside.part (amount integer)",
        component="column",
        rivals=(
            Rival(
                "of another type",
                "ALTER TABLE part ALTER COLUMN amount TYPE text",
                "amount",
                "text",
                "no column of that name; what was declared is integer",
                "rename it, or drop it by hand, and run again",
            ),
        ),
    ),
    Case(
        name="removed check",
        make=lambda: operations.RemoveCheckIfPresent("part", "part_amount_check"),
        full=lambda: operations.RemoveCheckIfPresent("part", "part_amount_check"),
        models=(part_model(constraints=[check(amount__gte=0)]),),
        start=f"{PART_TABLE} ALTER TABLE part ADD CONSTRAINT part_amount_check CHECK (amount >= 0);",
        done="ALTER TABLE part DROP CONSTRAINT part_amount_check",
        describes="Remove check part_amount_check from part if present",
        fragment="remove_part_part_amount_check",
        django=lambda: migrations.RemoveConstraint("part", "part_amount_check"),
        halves={},
        bystanders="CREATE TABLE other (amount int CONSTRAINT part_amount_check CHECK (amount > 5))",
        component="check",
        rivals=(
            Rival(
                "a unique constraint",
                "ALTER TABLE part DROP CONSTRAINT part_amount_check;"
                "ALTER TABLE part ADD CONSTRAINT part_amount_check UNIQUE (amount)",
                "part_amount_check",
                "UNIQUE (amount)",
                "no check of that name; what was declared is CHECK ((amount >= 0))",
                "rename it, or drop it by hand, and run again",
            ),
        ),
    ),
    Case(
        name="removed unique constraint",
        make=lambda: operations.RemoveUniqueIfPresent("part", "part_label_key"),
        full=lambda: operations.RemoveUniqueIfPresent("part", "part_label_key"),
        models=(part_model(constraints=[LABEL_KEY]),),
        start=f"{PART_TABLE} ALTER TABLE part ADD CONSTRAINT part_label_key UNIQUE (label);",
        done="ALTER TABLE part DROP CONSTRAINT part_label_key",
        describes="Remove unique part_label_key from part if present",
        fragment="remove_part_part_label_key",
        django=lambda: migrations.RemoveConstraint("part", "part_label_key"),
        halves={
            "index that is no constraint": "ALTER TABLE part DROP CONSTRAINT part_label_key;"
            "CREATE UNIQUE INDEX part_label_key ON part (label)",
        },
        bystanders="CREATE TABLE aside.part (label text CONSTRAINT part_label_key UNIQUE)",
        component="unique",
        rivals=(
            Rival(
                "a check",
                "ALTER TABLE part DROP CONSTRAINT part_label_key;"
                "ALTER TABLE part ADD CONSTRAINT part_label_key CHECK (label > '')",
                "part_label_key",
                "CHECK ((label > ''::text))",
                "no unique of that name; what was declared is UNIQUE (label)",
                "rename it, or drop it by hand, and run again",
            ),
        ),
    ),
    Case(
        name="dropped index",
        make=lambda: operations.DropIndexConcurrentlyIfPresent("part", "part_label"),
        full=lambda: operations.DropIndexConcurrentlyIfPresent(
            "part", "part_label", fallbacks=[models.Index(fields=["amount"], name="part_amount")]
        ),
        models=(part_model(indexes=[LABEL_INDEX]),),
        start=f"{PART_TABLE} CREATE INDEX part_label ON part (label);",
        done="DROP INDEX part_label",
        describes="Drop index part_label from part concurrently if present",
        fragment="remove_part_part_label",
        django=lambda: migrations.RemoveIndex("part", "part_label"),
        halves={
            "cancelled build": cancelled_build(
                "CREATE INDEX CONCURRENTLY part_label ON part (label)", "DROP INDEX part_label"
            )
        },
        bystanders="CREATE TABLE aside.part (label text); CREATE INDEX part_label ON aside.part (label)",
        component="index",
        rivals=(
            Rival(
                "of a constraint",
                "DROP INDEX part_label; ALTER TABLE part ADD CONSTRAINT part_label UNIQUE (label)",
                "part_label",
                "CREATE UNIQUE INDEX part_label ON bench.part USING btree (label)",
                "no index of that name; what was declared is "
                'CREATE INDEX part_label ON "part" USING btree (label)',
                "rename it, or drop it by hand, and run again",
            ),
        ),
    ),
)
