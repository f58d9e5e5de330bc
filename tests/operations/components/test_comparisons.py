"""A difference in any attribute is seen and shown; one in spelling is not, and nothing is sent.

Each pair differs from its declaration in just what it is named after. Each is tried on the operation of
the component and within CreateTableIfMissing, which judges the same component of a table that exists.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex, BTreeIndex, GinIndex, HashIndex
from django.db import connection, models
from django.db.migrations.state import ModelState, ProjectState
from django.db.models import F, Func, Index, Q, UniqueConstraint, Value
from django.db.models.functions import Abs, Coalesce, Collate, Length, Lower, Trim, Upper
from django.db.models.lookups import Exact
from django.test.utils import CaptureQueriesContext

from signals import operations
from signals.operations.report import judge
from tests.operations import scratch_schema
from tests.operations.components import test_checks, test_columns, test_indexes
from tests.operations.scratch_schema import (
    APP,
    PART_TABLE,
    SERIAL,
    catalog_versions,
    facts,
    forwards,
    part_model,
    project_state,
    recreate,
    sent_changes,
)

pytestmark = pytest.mark.usefixtures("committing_connection")


class Grade(models.TextField):  # type: ignore[type-arg] # not subscriptable at run time
    """A column of the enum that START creates."""

    def db_type(self, connection: Any) -> str:  # noqa: ARG002 - Django's signature
        return '"grade"'


FURTHER = (
    ("code", models.CharField(max_length=9, null=True)),
    ("tags", ArrayField(models.TextField(), null=True)),
    ("data", models.JSONField(null=True)),
    ("made_on", models.DateField(null=True)),
)
START = f"""{PART_TABLE}
ALTER TABLE part ADD COLUMN code varchar(9), ADD COLUMN tags text[], ADD COLUMN data jsonb,
    ADD COLUMN made_on date;
CREATE TYPE grade AS ENUM ('low', 'high');
CREATE TYPE aside.grade AS ENUM ('low', 'high');
CREATE TABLE other (id bigint PRIMARY KEY);
ALTER TABLE part ADD CONSTRAINT part_code_key UNIQUE (code);
CREATE INDEX part_code_like ON part (code varchar_pattern_ops);
CREATE FUNCTION aside.upper(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT pg_catalog.lower($1)'"""
EMPTY = f"{START}; TRUNCATE part"
N: Any = {"name": "wanted"}


@dataclass(frozen=True)
class Pair:
    """A declaration, SQL for the same thing in other words, and SQL for one that differs.

    found, wanted: how the error shows the two, as PostgreSQL prints them.
    since: the first server that has it; an older one refuses it in words.
    """

    declared: Any
    same: str
    other: str
    found: str
    wanted: str
    since: int = 0


NOW = Func(function="now", output_field=models.DateTimeField())


def twice(**options: Any) -> models.GeneratedField:
    return models.GeneratedField(
        expression=F("amount") * 2, output_field=models.IntegerField(), db_persist=True, **options
    )


COLUMNS: dict[str, Pair] = {
    "type of the same family": Pair(
        models.IntegerField(null=True),
        "int4",
        "int8",
        "bigint",
        "integer",
    ),
    "type with a length": Pair(
        models.CharField(max_length=9, null=True),
        "character varying(9)",
        "varchar(10)",
        "character varying(10)",
        "character varying(9)",
    ),
    "type with a precision": Pair(
        models.DecimalField(max_digits=6, decimal_places=2, null=True),
        "decimal(6, 2)",
        "decimal(7, 2)",
        "numeric(7,2)",
        "numeric(6,2)",
    ),
    "type with a precision of seconds": Pair(
        models.TimeField(null=True),
        "time without time zone",
        "time(0)",
        "time(0) without time zone",
        "time without time zone",
    ),
    "type of which another schema has a namesake": Pair(
        Grade(null=True),
        "bench.grade",
        "aside.grade",
        "aside.grade",
        "grade",
    ),
    "not null where null is declared": Pair(
        models.IntegerField(null=True),
        "integer NULL",
        "integer NOT NULL",
        "integer NOT NULL",
        "integer",
    ),
    "null where not null is declared": Pair(
        models.IntegerField(),
        "int NOT NULL",
        "integer",
        "integer",
        "integer NOT NULL",
    ),
    "collation": Pair(
        models.CharField(max_length=9, null=True, db_collation="C"),
        'varchar(9) COLLATE pg_catalog."C"',
        'varchar(9) COLLATE "POSIX"',
        'character varying(9) COLLATE "POSIX"',
        'character varying(9) COLLATE "C"',
    ),
    "array of another element": Pair(
        ArrayField(models.IntegerField(), null=True),
        "int ARRAY",
        "bigint[]",
        "bigint[]",
        "integer[]",
    ),
    "array with two dimensions": Pair(
        ArrayField(ArrayField(models.IntegerField()), null=True),
        "int[3][3]",
        "int",
        "integer",
        "integer[]",
    ),
    "array default": Pair(
        ArrayField(models.IntegerField(), null=True, db_default=[1, 2]),
        "int[] DEFAULT '{1, 2}'",
        "int[] DEFAULT '{2, 1}'",
        "integer[] DEFAULT '{2,1}'::integer[]",
        "integer[] DEFAULT '{1,2}'::integer[]",
    ),
    "enum default": Pair(
        Grade(null=True, db_default="low"),
        "grade DEFAULT 'low'",
        "grade DEFAULT 'high'",
        "grade DEFAULT 'high'::grade",
        "grade DEFAULT 'low'::grade",
    ),
    "text in place of an enum": Pair(
        Grade(null=True, db_default="low"),
        "grade DEFAULT CAST('low' AS grade)",
        "text DEFAULT 'low'",
        "text DEFAULT 'low'::text",
        "grade DEFAULT 'low'::grade",
    ),
    "JSON default, a value": Pair(
        models.JSONField(null=True, db_default={"a": {"b": [1, None]}}),
        """jsonb DEFAULT '{"a":{"b":[1,null]}}'""",
        """jsonb DEFAULT '{"a": {"b": [null, 1]}}'""",
        """jsonb DEFAULT '{"a": {"b": [null, 1]}}'::jsonb""",
        """jsonb DEFAULT '{"a": {"b": [1, null]}}'::jsonb""",
    ),
    "JSON default, a number as text": Pair(
        models.JSONField(null=True, db_default={"a": "é", "b": 1}),
        """jsonb DEFAULT '{"b": 1, "a": "\\u00e9"}'""",
        """jsonb DEFAULT '{"a": "é", "b": "1"}'""",
        """jsonb DEFAULT '{"a": "é", "b": "1"}'::jsonb""",
        """jsonb DEFAULT '{"a": "é", "b": 1}'::jsonb""",
    ),
    "number default": Pair(
        models.SmallIntegerField(null=True, db_default=100),
        "smallint DEFAULT '100'",
        "smallint DEFAULT 101",
        "smallint DEFAULT 101",
        "smallint DEFAULT 100",
    ),
    "fraction default": Pair(
        models.DecimalField(max_digits=6, decimal_places=2, null=True, db_default=Decimal("0.5")),
        "numeric(6,2) DEFAULT .5",
        "numeric(6,2) DEFAULT 0.05",
        "numeric(6,2) DEFAULT 0.05",
        "numeric(6,2) DEFAULT 0.5",
    ),
    "sign of a number default": Pair(
        models.BigIntegerField(null=True, db_default=-7),
        "bigint DEFAULT '-7'",
        "bigint DEFAULT 7",
        "bigint DEFAULT 7",
        "bigint DEFAULT '-7'::integer",
    ),
    "string default, case": Pair(
        models.TextField(null=True, db_default="New"),
        "text DEFAULT CAST('New' AS varchar)",
        "text DEFAULT 'new'",
        "text DEFAULT 'new'::text",
        "text DEFAULT 'New'::text",
    ),
    "string default, a space": Pair(
        models.TextField(null=True, db_default=""),
        "text DEFAULT ''::text",
        "text DEFAULT ' '",
        "text DEFAULT ' '::text",
        "text DEFAULT ''::text",
    ),
    "string default, a quote": Pair(
        models.TextField(null=True, db_default="it's"),
        "text DEFAULT E'it\\'s'",
        "text DEFAULT 'it''''s'",
        "text DEFAULT 'it''''s'::text",
        "text DEFAULT 'it''s'::text",
    ),
    "string default, a backslash": Pair(
        models.TextField(null=True, db_default="a\\b"),
        "text DEFAULT E'a\\\\b'",
        "text DEFAULT E'a\\b'",
        "text DEFAULT 'a\x08'::text",
        r"text DEFAULT 'a\b'::text",
    ),
    "now() default": Pair(
        models.DateTimeField(null=True, db_default=NOW),
        "timestamptz DEFAULT CURRENT_TIMESTAMP",
        "timestamptz DEFAULT statement_timestamp()",
        "timestamp with time zone DEFAULT statement_timestamp()",
        "timestamp with time zone DEFAULT now()",
    ),
    "now() default, cut to seconds": Pair(
        models.DateTimeField(null=True, db_default=NOW),
        "timestamptz DEFAULT pg_catalog.now()",
        "timestamptz DEFAULT CURRENT_TIMESTAMP(0)",
        "timestamp with time zone DEFAULT CURRENT_TIMESTAMP(0)",
        "timestamp with time zone DEFAULT now()",
    ),
    "boolean default": Pair(
        models.BooleanField(null=True, db_default=True),
        "boolean DEFAULT 'yes'",
        "boolean DEFAULT false",
        "boolean DEFAULT false",
        "boolean DEFAULT true",
    ),
    "date default": Pair(
        models.DateField(null=True, db_default=date(2026, 1, 2)),
        "date DEFAULT 'January 2, 2026'",
        "date DEFAULT '2026-02-01'",
        "date DEFAULT '2026-02-01'::date",
        "date DEFAULT '2026-01-02'::date",
    ),
    "time default": Pair(
        models.TimeField(null=True, db_default=time(10, 30)),
        "time DEFAULT '10:30 AM'",
        "time DEFAULT '10:30 PM'",
        "time without time zone DEFAULT '22:30:00'::time without time zone",
        "time without time zone DEFAULT '10:30:00'::time without time zone",
    ),
    "time zone of a timestamp default": Pair(
        models.DateTimeField(null=True, db_default=datetime(2026, 1, 2, 10, tzinfo=UTC)),
        "timestamptz DEFAULT '2026-01-02 12:00+02'",
        "timestamptz DEFAULT '2026-01-02 10:00+02'",
        "timestamp with time zone DEFAULT '2026-01-02 08:00:00+00'::timestamp with time zone",
        "timestamp with time zone DEFAULT '2026-01-02 10:00:00+00'::timestamp with time zone",
    ),
    "interval default": Pair(
        models.DurationField(null=True, db_default=timedelta(days=1, hours=2)),
        "interval DEFAULT 'P1DT2H'",
        "interval DEFAULT '2 days 1 hour'",
        "interval DEFAULT '2 days 01:00:00'::interval",
        "interval DEFAULT '1 day 02:00:00'::interval",
    ),
    "UUID default": Pair(
        models.UUIDField(null=True, db_default=UUID(int=0xABC)),
        "uuid DEFAULT '{00000000000000000000000000000ABC}'",
        "uuid DEFAULT '00000000-0000-0000-0000-000000000abd'",
        "uuid DEFAULT '00000000-0000-0000-0000-000000000abd'::uuid",
        "uuid DEFAULT '00000000-0000-0000-0000-000000000abc'::uuid",
    ),
    "bytes default": Pair(
        models.BinaryField(null=True, db_default=b"ab"),
        "bytea DEFAULT 'ab'",
        "bytea DEFAULT 'AB'",
        r"bytea DEFAULT '\x4142'::bytea",
        r"bytea DEFAULT '\x6162'::bytea",
    ),
    "address default": Pair(
        models.GenericIPAddressField(null=True, db_default=Value("::1")),
        "inet DEFAULT '0:0:0:0:0:0:0:1'",
        "inet DEFAULT '::2'",
        "inet DEFAULT '::2'::inet",
        "inet DEFAULT '::1'::inet",
    ),
    "function default": Pair(
        models.TextField(null=True, db_default=Upper(Value("x"))),
        "text DEFAULT (upper('x'::text))",
        "text DEFAULT aside.upper('x')",
        "text DEFAULT aside.upper('x'::text)",
        "text DEFAULT upper('x'::text)",
    ),
    "no default": Pair(
        models.BooleanField(null=True),
        "boolean DEFAULT NULL",
        "boolean DEFAULT false",
        "boolean DEFAULT false",
        "boolean",
    ),
    "generated from another column": Pair(
        twice(),
        "integer GENERATED ALWAYS AS ((amount) * 2) STORED",
        "integer GENERATED ALWAYS AS (length(label) * 2) STORED",
        "integer GENERATED ALWAYS AS ((length(label) * 2)) STORED",
        "integer GENERATED ALWAYS AS ((amount * 2)) STORED",
    ),
    "a default in place of a generated column": Pair(
        twice(),
        "int4 GENERATED ALWAYS AS (amount * (2)) STORED",
        "integer DEFAULT 2",
        "integer DEFAULT 2",
        "integer GENERATED ALWAYS AS ((amount * 2)) STORED",
    ),
    "generated in place of a default": Pair(
        models.IntegerField(null=True, db_default=2),
        "integer DEFAULT (2)",
        "integer GENERATED ALWAYS AS (amount) STORED",
        "integer GENERATED ALWAYS AS (amount) STORED",
        "integer DEFAULT 2",
    ),
    "a sequence in place of a number": Pair(
        models.IntegerField(db_default=0),
        "integer DEFAULT '0' NOT NULL",
        "serial",
        "integer numbered by a sequence NOT NULL",
        "integer DEFAULT 0 NOT NULL",
    ),
}

CHECKS: dict[str, Pair] = {
    "varchar, the length of a cast": Pair(
        Q(code="bolt") | Q(code__isnull=True),
        "code::text = 'bolt'::text OR code IS NULL",
        "code::varchar(2) = 'bolt' OR code IS NULL",
        "CHECK (((((code)::character varying(2))::text = 'bolt'::text) OR (code IS NULL)))",
        "CHECK ((((code)::text = 'bolt'::text) OR (code IS NULL)))",
    ),
    "text, its case": Pair(
        Q(label__iexact="bolt") | Q(label="nut") | Q(label="cog"),
        "UPPER(label::text) = UPPER('bolt') OR label = 'nut' OR label = 'cog'",
        "UPPER(label) = UPPER('bolt') OR label = 'nut' OR label = 'Cog'",
        "CHECK (((upper(label) = upper('bolt'::text)) OR (label = 'nut'::text) OR (label = "
        "'Cog'::text)))",
        "CHECK (((upper(label) = upper('bolt'::text)) OR (label = 'nut'::text) OR (label = "
        "'cog'::text)))",
    ),
    "BETWEEN, the upper bound": Pair(
        Q(made_at__range=(datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))),
        "made_at BETWEEN '2026-01-01 01:00+01' AND '2027-01-01Z'",
        "made_at BETWEEN '2026-01-01 00:00+00' AND '2027-01-01 00:00+01'",
        "CHECK (((made_at >= '2026-01-01 00:00:00+00'::timestamp with time zone) AND "
        "(made_at <= '2026-12-31 23:00:00+00'::timestamp with time zone)))",
        "CHECK (((made_at >= '2026-01-01 00:00:00+00'::timestamp with time zone) AND "
        "(made_at <= '2027-01-01 00:00:00+00'::timestamp with time zone)))",
    ),
    "BETWEEN SYMMETRIC": Pair(
        Q(amount__range=(0, 9)),
        "amount >= 0 AND amount <= (9)",
        "amount BETWEEN SYMMETRIC 0 AND 9",
        "CHECK ((((amount >= 0) AND (amount <= 9)) OR ((amount >= 9) AND (amount <= 0))))",
        "CHECK (((amount >= 0) AND (amount <= 9)))",
    ),
    "IN, a value": Pair(
        Q(amount__in=(3, 5, 8)),
        "amount = ANY (ARRAY[3, (5), 8])",
        "amount IN (3, 5, 8, 13)",
        "CHECK ((amount = ANY (ARRAY[3, 5, 8, 13])))",
        "CHECK ((amount = ANY (ARRAY[3, 5, 8])))",
    ),
    "IN, one value": Pair(
        Q(label__in=("bolt",)) | Q(amount__gt=0),
        "label = 'bolt' OR amount > 0",
        "label IN ('nut') OR amount > 0",
        "CHECK (((label = 'nut'::text) OR (amount > 0)))",
        "CHECK (((label = 'bolt'::text) OR (amount > 0)))",
    ),
    "NOT IN": Pair(
        ~Q(amount__in=(1, 2)),
        "NOT (amount = ANY (ARRAY[1, 2]) AND amount IS NOT NULL)",
        "amount IN (1, 2) AND amount IS NOT NULL",
        "CHECK (((amount = ANY (ARRAY[1, 2])) AND (amount IS NOT NULL)))",
        "CHECK ((NOT ((amount = ANY (ARRAY[1, 2])) AND (amount IS NOT NULL))))",
    ),
    "a function": Pair(
        Q(Exact(Trim("label"), F("label"))),
        "TRIM(label) = label",
        "TRIM(LEADING FROM label) = label",
        "CHECK ((TRIM(LEADING FROM label) = label))",
        "CHECK ((TRIM(BOTH FROM label) = label))",
    ),
    "a function of which another schema has a namesake": Pair(
        ~Q(Exact(Upper("label"), Value("X"))),
        "NOT (pg_catalog.upper(label) = 'X')",
        "NOT (aside.upper(label) = 'X')",
        "CHECK ((NOT (aside.upper(label) = 'X'::text)))",
        "CHECK ((NOT (upper(label) = 'X'::text)))",
    ),
    "a function's argument": Pair(
        Q(Exact(Coalesce("amount", 0), F("id"))) | Q(id__gt=0),
        "COALESCE(amount, 0) = id OR id > 0",
        "COALESCE(amount, 1) = id OR id > 0",
        "CHECK (((COALESCE(amount, 1) = id) OR (id > 0)))",
        "CHECK (((COALESCE(amount, 0) = id) OR (id > 0)))",
    ),
    "% as an operator": Pair(
        ~Q(Exact(F("id") % 10, 0)),
        "NOT ((id) % 10 = 0)",
        "NOT (id / 10 = 0)",
        "CHECK ((NOT ((id / 10) = 0)))",
        "CHECK ((NOT ((id % (10)::bigint) = 0)))",
    ),
    "% in a pattern": Pair(
        Q(label__contains="%") | Q(amount__gt=0),
        r"label::text LIKE '%\%%' OR amount > 0",
        "label LIKE '%%%' OR amount > 0",
        "CHECK (((label ~~ '%%%'::text) OR (amount > 0)))",
        r"CHECK (((label ~~ '%\%%'::text) OR (amount > 0)))",
    ),
    "quotes": Pair(
        Q(label="""a "b" 'c'""") | Q(amount__gt=0),
        """label = E'a "b" \\'c\\'' OR amount > 0""",
        """label = 'a "b" "c"' OR amount > 0""",
        """CHECK (((label = 'a "b" "c"'::text) OR (amount > 0)))""",
        """CHECK (((label = 'a "b" ''c'''::text) OR (amount > 0)))""",
    ),
    "a backslash": Pair(
        Q(label="a\\b") | Q(amount__gt=0),
        r"label = E'a\\b' OR amount > 0",
        r"label = 'a\\b' OR amount > 0",
        r"CHECK (((label = 'a\\b'::text) OR (amount > 0)))",
        r"CHECK (((label = 'a\b'::text) OR (amount > 0)))",
    ),
    "null": Pair(
        Q(label__isnull=True) | Q(amount__isnull=False),
        "label ISNULL OR amount NOTNULL",
        "label IS NULL AND amount IS NOT NULL",
        "CHECK (((label IS NULL) AND (amount IS NOT NULL)))",
        "CHECK (((label IS NULL) OR (amount IS NOT NULL)))",
    ),
    "a collation": Pair(
        Q(Exact(Collate("label", "C"), F("code"))) | Q(amount__gt=0),
        'label COLLATE pg_catalog."C" = code OR amount > 0',
        'label COLLATE "POSIX" = code OR amount > 0',
        'CHECK ((((label COLLATE "POSIX") = (code)::text) OR (amount > 0)))',
        'CHECK ((((label COLLATE "C") = (code)::text) OR (amount > 0)))',
    ),
    "the value of a key in JSON": Pair(
        Q(data__kind="bolt") | Q(data__isnull=True),
        """(data -> 'kind') = '"bolt"' OR data IS NULL""",
        """(data -> 'kind') = '"nut"' OR data IS NULL""",
        """CHECK ((((data -> 'kind'::text) = '"nut"'::jsonb) OR (data IS NULL)))""",
        """CHECK ((((data -> 'kind'::text) = '"bolt"'::jsonb) OR (data IS NULL)))""",
    ),
    "an array": Pair(
        Q(tags__contains=["a"]) | Q(tags__isnull=True),
        "tags @> ARRAY['a'] OR tags IS NULL",
        "tags <@ ARRAY['a'] OR tags IS NULL",
        "CHECK (((tags <@ ARRAY['a'::text]) OR (tags IS NULL)))",
        "CHECK (((tags @> ARRAY['a'::text]) OR (tags IS NULL)))",
    ),
    "a date": Pair(
        Q(made_on__gte=date(2026, 1, 2)) | Q(made_on__isnull=True),
        "made_on >= DATE 'Jan 2 2026' OR made_on IS NULL",
        "made_on > '2026-01-02' OR made_on IS NULL",
        "CHECK (((made_on > '2026-01-02'::date) OR (made_on IS NULL)))",
        "CHECK (((made_on >= '2026-01-02'::date) OR (made_on IS NULL)))",
    ),
    "the sign of a number": Pair(
        Q(amount__gt=-1),
        "amount > '-1'",
        "amount > 1",
        "CHECK ((amount > 1))",
        "CHECK ((amount > '-1'::integer))",
    ),
    "a whole number and a fraction": Pair(
        Q(id__gt=F("amount") * 2),
        "id > amount * 2",
        "id > amount * 2.0",
        "CHECK (((id)::numeric > ((amount)::numeric * 2.0)))",
        "CHECK ((id > (amount * 2)))",
    ),
    "order of and and or": Pair(
        (Q(amount__gt=0) | Q(id__gt=0)) & Q(id__lt=99),
        "((amount > 0) OR (id > 0)) AND id < 99",
        "amount > 0 OR id > 0 AND id < 99",
        "CHECK (((amount > 0) OR ((id > 0) AND (id < 99))))",
        "CHECK ((((amount > 0) OR (id > 0)) AND (id < 99)))",
    ),
}

INDEXES: dict[str, Pair] = {
    "columns in order": Pair(
        Index(fields=["amount", "label"], **N),
        "USING btree (amount ASC, label)",
        "(label, amount)",
        "CREATE INDEX wanted ON bench.part USING btree (label, amount)",
        'CREATE INDEX wanted ON "part" USING btree (amount, label)',
    ),
    "sort order": Pair(
        Index(fields=["label", "-amount"], **N),
        "(label, amount DESC NULLS FIRST)",
        "(label DESC, amount DESC)",
        "CREATE INDEX wanted ON bench.part USING btree (label DESC, amount DESC)",
        'CREATE INDEX wanted ON "part" USING btree (label, amount DESC)',
    ),
    "NULLS FIRST": Pair(
        Index(F("amount").asc(nulls_first=True), **N),
        "(amount ASC NULLS FIRST)",
        "(amount ASC NULLS LAST)",
        "CREATE INDEX wanted ON bench.part USING btree (amount)",
        'CREATE INDEX wanted ON "part" USING btree (amount NULLS FIRST)',
    ),
    "NULLS LAST": Pair(
        Index(F("amount").desc(nulls_last=True), **N),
        "((amount) DESC NULLS LAST)",
        "(amount DESC)",
        "CREATE INDEX wanted ON bench.part USING btree (amount DESC)",
        'CREATE INDEX wanted ON "part" USING btree (amount DESC NULLS LAST)',
    ),
    "collation": Pair(
        Index(Collate("code", "C"), "label", **N),
        '(code COLLATE pg_catalog."C", label)',
        '(code, label COLLATE "C")',
        'CREATE INDEX wanted ON bench.part USING btree (code, label COLLATE "C")',
        'CREATE INDEX wanted ON "part" USING btree (code COLLATE "C", label)',
    ),
    "operator class": Pair(
        Index(fields=["code", "label"], opclasses=["varchar_pattern_ops", "text_ops"], **N),
        "(code pg_catalog.varchar_pattern_ops, label)",
        "(code text_pattern_ops, label)",
        "CREATE INDEX wanted ON bench.part USING btree (code text_pattern_ops, label)",
        'CREATE INDEX wanted ON "part" USING btree (code varchar_pattern_ops, label)',
    ),
    "operator class of an array": Pair(
        GinIndex(fields=["data"], opclasses=["jsonb_path_ops"], **N),
        "USING gin (data pg_catalog.jsonb_path_ops)",
        "USING gin (data jsonb_ops)",
        "CREATE INDEX wanted ON bench.part USING gin (data)",
        'CREATE INDEX wanted ON "part" USING gin (data jsonb_path_ops)',
    ),
    "INCLUDE": Pair(
        Index(fields=["label"], include=["amount", "code"], **N),
        "USING btree (label) INCLUDE (amount, code)",
        "(label) INCLUDE (code, amount)",
        "CREATE INDEX wanted ON bench.part USING btree (label) INCLUDE (code, amount)",
        'CREATE INDEX wanted ON "part" USING btree (label) INCLUDE (amount, code)',
    ),
    "partial": Pair(
        Index(fields=["label"], condition=Q(code__in=("a", "b")), **N),
        "(label) WHERE code = ANY (ARRAY['a'::varchar, 'b'])",
        "(label) WHERE code IN ('a')",
        "CREATE INDEX wanted ON bench.part USING btree (label) WHERE ((code)::text = 'a'::text)",
        'CREATE INDEX wanted ON "part" USING btree (label) WHERE ((code)::text = ANY '
        "((ARRAY['a'::character varying, 'b'::character varying])::text[]))",
    ),
    "partial, the whole table": Pair(
        Index(fields=["label"], condition=Q(amount__isnull=False), **N),
        "(label) WHERE (amount) IS NOT NULL",
        "(label)",
        "CREATE INDEX wanted ON bench.part USING btree (label)",
        'CREATE INDEX wanted ON "part" USING btree (label) WHERE (amount IS NOT NULL)',
    ),
    "partial with a percent sign and a quote": Pair(
        Index(fields=["label"], condition=Q(label__startswith="it's 100%"), **N),
        r"(label) WHERE label::text LIKE E'it\'s 100\\%%'",
        r"(label) WHERE label LIKE 'it''s 100%'",
        "CREATE INDEX wanted ON bench.part USING btree (label) WHERE (label ~~ 'it''s 100%'::text)",
        """CREATE INDEX wanted ON "part" USING btree (label) WHERE (label ~~ 'it''s """
        r"100\%%'::text)",
    ),
    "partial with BETWEEN": Pair(
        Index(fields=["label"], condition=Q(amount__range=(1, 9)), **N),
        "(label) WHERE amount >= 1 AND amount <= 9",
        "(label) WHERE amount BETWEEN 1 AND 8",
        "CREATE INDEX wanted ON bench.part USING btree (label) WHERE ((amount >= 1) AND "
        "(amount <= 8))",
        'CREATE INDEX wanted ON "part" USING btree (label) WHERE ((amount >= 1) AND (amount <= 9))',
    ),
    "unique": Pair(
        Index(fields=["amount"], **N),
        "(amount int4_ops)",
        "UNIQUE (amount)",
        "CREATE UNIQUE INDEX wanted ON bench.part USING btree (amount)",
        'CREATE INDEX wanted ON "part" USING btree (amount)',
    ),
    "expression": Pair(
        Index(Lower(Trim("label")), **N),
        "(pg_catalog.lower(TRIM(BOTH FROM label)))",
        "(TRIM(BOTH FROM lower(label)))",
        "CREATE INDEX wanted ON bench.part USING btree (TRIM(BOTH FROM lower(label)))",
        'CREATE INDEX wanted ON "part" USING btree (lower(TRIM(BOTH FROM label)))',
    ),
    "expression of a function of which another schema has a namesake": Pair(
        Index(Upper("label"), **N),
        "(pg_catalog.upper(label))",
        "(aside.upper(label))",
        "CREATE INDEX wanted ON bench.part USING btree (aside.upper(label))",
        'CREATE INDEX wanted ON "part" USING btree (upper(label))',
    ),
    "expression, its order": Pair(
        Index(Abs("amount").desc(), **N),
        "(abs(amount) DESC NULLS FIRST)",
        "(abs(amount))",
        "CREATE INDEX wanted ON bench.part USING btree (abs(amount))",
        'CREATE INDEX wanted ON "part" USING btree (abs(amount) DESC)',
    ),
    "expression of a number": Pair(
        Index(F("amount") * 2, **N),
        "((amount * (2)))",
        "((amount + 2))",
        "CREATE INDEX wanted ON bench.part USING btree (((amount + 2)))",
        'CREATE INDEX wanted ON "part" USING btree (((amount * 2)))',
    ),
    "fill factor": Pair(
        BTreeIndex(fields=["amount"], fillfactor=50, **N),
        "(amount) WITH (FILLFACTOR = '50')",
        "(amount) WITH (fillfactor = 51)",
        "CREATE INDEX wanted ON bench.part USING btree (amount) WITH (fillfactor='51')",
        """CREATE INDEX wanted ON "part" USING btree (amount) WITH (fillfactor='50')""",
    ),
    "storage parameter": Pair(
        GinIndex(fields=["tags"], fastupdate=False, gin_pending_list_limit=128, **N),
        "USING gin (tags) WITH (gin_pending_list_limit = 128, fastupdate = off)",
        "USING gin (tags) WITH (gin_pending_list_limit = 256, fastupdate = off)",
        "CREATE INDEX wanted ON bench.part USING gin (tags) WITH "
        "(gin_pending_list_limit='256', fastupdate=off)",
        'CREATE INDEX wanted ON "part" USING gin (tags) WITH '
        "(gin_pending_list_limit='128', fastupdate=off)",
    ),
    "no storage parameter": Pair(
        BrinIndex(fields=["made_at"], **N),
        "USING brin (made_at timestamptz_minmax_ops)",
        "USING brin (made_at) WITH (pages_per_range = 8)",
        "CREATE INDEX wanted ON bench.part USING brin (made_at) WITH (pages_per_range='8')",
        'CREATE INDEX wanted ON "part" USING brin (made_at)',
    ),
    "method": Pair(
        HashIndex(fields=["amount"], **N),
        "USING hash (amount int4_ops)",
        "USING btree (amount)",
        "CREATE INDEX wanted ON bench.part USING btree (amount)",
        'CREATE INDEX wanted ON "part" USING hash (amount)',
    ),
}

UNIQUES: dict[str, Pair] = {
    "columns": Pair(
        UniqueConstraint(fields=["label", "amount"], **N),
        "ALTER TABLE part ADD CONSTRAINT wanted UNIQUE (label, amount)",
        "ALTER TABLE part ADD CONSTRAINT wanted UNIQUE (label, id)",
        "UNIQUE (label, id)",
        "UNIQUE (label, amount)",
    ),
    "NULLS NOT DISTINCT": Pair(
        UniqueConstraint(fields=["amount"], nulls_distinct=False, **N),
        "ALTER TABLE part ADD CONSTRAINT wanted UNIQUE NULLS NOT DISTINCT (amount)",
        "ALTER TABLE part ADD CONSTRAINT wanted UNIQUE (amount)",
        "UNIQUE (amount)",
        "UNIQUE NULLS NOT DISTINCT (amount)",
        since=150000,
    ),
    "NULLS DISTINCT": Pair(
        UniqueConstraint(fields=["amount"], nulls_distinct=True, **N),
        "ALTER TABLE part ADD CONSTRAINT wanted UNIQUE (amount)",
        "ALTER TABLE part ADD CONSTRAINT wanted UNIQUE NULLS NOT DISTINCT (amount)",
        "UNIQUE NULLS NOT DISTINCT (amount)",
        "UNIQUE (amount)",
        since=150000,
    ),
    "deferrability": Pair(
        UniqueConstraint(fields=["amount"], **N),
        "ALTER TABLE part ADD CONSTRAINT wanted UNIQUE (amount) NOT DEFERRABLE",
        "ALTER TABLE part ADD CONSTRAINT wanted UNIQUE (amount) INITIALLY DEFERRED",
        "UNIQUE (amount) DEFERRABLE INITIALLY DEFERRED",
        "UNIQUE (amount)",
    ),
    "INCLUDE": Pair(
        UniqueConstraint(fields=["amount"], include=["label"], **N),
        "CREATE UNIQUE INDEX wanted ON part USING btree (amount) INCLUDE (label)",
        "CREATE UNIQUE INDEX wanted ON part (amount) INCLUDE (code)",
        "CREATE UNIQUE INDEX wanted ON bench.part USING btree (amount) INCLUDE (code)",
        'CREATE UNIQUE INDEX wanted ON "part" USING btree (amount) INCLUDE (label)',
    ),
    "partial": Pair(
        UniqueConstraint(fields=["amount"], condition=Q(label="it's 100%"), **N),
        "CREATE UNIQUE INDEX wanted ON part (amount) WHERE label = E'it\\'s 100%'",
        "CREATE UNIQUE INDEX wanted ON part (amount) WHERE label = 'it''s 100%%'",
        "CREATE UNIQUE INDEX wanted ON bench.part USING btree (amount) WHERE (label = "
        "'it''s 100%%'::text)",
        """CREATE UNIQUE INDEX wanted ON "part" USING btree (amount) WHERE (label = 'it''s """
        "100%'::text)",
    ),
    "operator class": Pair(
        UniqueConstraint(fields=["label"], opclasses=["text_pattern_ops"], **N),
        "CREATE UNIQUE INDEX wanted ON part (label pg_catalog.text_pattern_ops)",
        "CREATE UNIQUE INDEX wanted ON part (label text_ops)",
        "CREATE UNIQUE INDEX wanted ON bench.part USING btree (label)",
        'CREATE UNIQUE INDEX wanted ON "part" USING btree (label text_pattern_ops)',
    ),
    "collation": Pair(
        UniqueConstraint(Collate("label", "C"), **N),
        'CREATE UNIQUE INDEX wanted ON part (label COLLATE pg_catalog."C")',
        'CREATE UNIQUE INDEX wanted ON part (label COLLATE "POSIX")',
        'CREATE UNIQUE INDEX wanted ON bench.part USING btree (label COLLATE "POSIX")',
        'CREATE UNIQUE INDEX wanted ON "part" USING btree (label COLLATE "C")',
    ),
    "expression": Pair(
        UniqueConstraint(Length("label"), **N),
        "CREATE UNIQUE INDEX wanted ON part (pg_catalog.length(label))",
        "CREATE UNIQUE INDEX wanted ON part (octet_length(label))",
        "CREATE UNIQUE INDEX wanted ON bench.part USING btree (octet_length(label))",
        'CREATE UNIQUE INDEX wanted ON "part" USING btree (length(label))',
    ),
    "sort order": Pair(
        UniqueConstraint(F("amount").desc(nulls_last=True), **N),
        "CREATE UNIQUE INDEX wanted ON part (amount DESC NULLS LAST)",
        "CREATE UNIQUE INDEX wanted ON part (amount DESC)",
        "CREATE UNIQUE INDEX wanted ON bench.part USING btree (amount DESC)",
        'CREATE UNIQUE INDEX wanted ON "part" USING btree (amount DESC NULLS LAST)',
    ),
}


def table(**options: Any) -> operations.CreateTableIfMissing:
    """The declaration of the table that START creates, with further options."""
    fields = [*part_model(*FURTHER).fields.items(), *options.pop("fields", [])]
    return operations.CreateTableIfMissing("Part", fields, {"db_table": "part", **options})


def check_of(condition: Q) -> models.CheckConstraint:
    return models.CheckConstraint(condition=condition, name="wanted")


@dataclass(frozen=True)
class Kind:
    """How a component is made by hand and declared: by its own operation, and as a part of its table."""

    pairs: dict[str, Pair]
    sql: str
    alone: Callable[[Any], Any]
    within: Callable[[Any], operations.CreateTableIfMissing]
    name: str = "wanted"


KINDS = {
    "column": Kind(
        COLUMNS,
        "ALTER TABLE part ADD COLUMN c {}",
        partial(operations.AddColumnIfMissing, "part", "c"),
        lambda field: table(fields=[("c", field)]),
        "c",
    ),
    "check": Kind(
        CHECKS,
        "ALTER TABLE part ADD CONSTRAINT wanted CHECK ({})",
        lambda condition: operations.AddCheckIfMissing("part", check_of(condition)),
        lambda condition: table(constraints=[check_of(condition)]),
    ),
    "index": Kind(
        INDEXES,
        "CREATE INDEX wanted ON part {}",
        partial(operations.CreateIndexConcurrentlyIfMissing, "part"),
        lambda index: table(indexes=[index]),
    ),
    "unique": Kind(
        UNIQUES,
        "{}",
        partial(operations.AddUniqueIfMissing, "part"),
        lambda constraint: table(constraints=[constraint]),
    ),
}

each_pair = pytest.mark.parametrize(
    ("component", "what"),
    [
        pytest.param(component, what, id=f"{component}, {what}")
        for component, kind in KINDS.items()
        for what in kind.pairs
    ],
)
each_way = pytest.mark.parametrize("way", ["alone", "within"], ids=["alone", "within its table"])


def made(component: str, declared: Any, way: str) -> tuple[Any, ProjectState]:
    """The operation that declares it, and the state before that."""
    operation = getattr(KINDS[component], way)(declared)
    return operation, project_state(part_model(*FURTHER)) if way == "alone" else project_state()


def put(component: str, sql: str) -> None:
    unique = component == "index" and sql.startswith("UNIQUE ")
    text = KINDS[component].sql.format(sql.removeprefix("UNIQUE "))
    recreate(EMPTY, text.replace("CREATE INDEX", "CREATE UNIQUE INDEX") if unique else text)


def is_refused(pair: Pair, operation: Any, state: ProjectState) -> bool:
    """Whether the server is too old for it; the refusal is then what is tested."""
    if connection.pg_version >= pair.since:  # type: ignore[attr-defined]
        return False
    recreate(EMPTY)
    before = catalog_versions()
    with pytest.raises(operations.Refused, match="came with PostgreSQL 15"):
        forwards(operation, state)
    assert catalog_versions() == before
    return True


def assert_nothing_is_sent(operation: Any, state: ProjectState) -> None:
    before = catalog_versions()
    with CaptureQueriesContext(connection) as queries:
        forwards(operation, state)
    assert sent_changes(queries) == []
    assert catalog_versions() == before


def assert_different(operation: Any, state: ProjectState) -> operations.DifferentDefinition:
    before = catalog_versions()
    with (
        pytest.raises(operations.DifferentDefinition) as caught,
        CaptureQueriesContext(connection) as queries,
    ):
        forwards(operation, state)
    assert sent_changes(queries) == []
    assert catalog_versions() == before
    return caught.value


@each_way
@each_pair
def test_another_spelling_is_no_difference(component: str, what: str, way: str) -> None:
    pair = KINDS[component].pairs[what]
    operation, state = made(component, pair.declared, way)
    if not is_refused(pair, operation, state):
        put(component, pair.same)
        assert_nothing_is_sent(operation, state)


@each_way
@each_pair
def test_a_difference_is_seen_and_shown(component: str, what: str, way: str) -> None:
    kind = KINDS[component]
    pair = kind.pairs[what]
    operation, state = made(component, pair.declared, way)
    if is_refused(pair, operation, state):
        return
    put(component, pair.other)
    error = assert_different(operation, state)
    assert (error.component, error.name, error.table) == (component, kind.name, '"part"')
    assert (error.found, error.wanted) == (pair.found, pair.wanted)


# What the tables of test_columns, test_checks and test_indexes hold, as parts of a table's declaration.
ELSEWHERE: dict[str, tuple[str, Any, str, bool]] = {
    **{
        f"column, {what}": ("column", field, sql, same)
        for pairs, same in ((test_columns.SAME, True), (test_columns.ANOTHER, False))
        for what, (field, sql) in pairs.items()
    },
    **{
        f"check, {what}": ("check", condition, sql, same)
        for pairs, same in ((test_checks.SAME, True), (test_checks.ANOTHER, False))
        for what, (condition, sql) in pairs.items()
    },
    **{
        f"index, {what}: {sql}": ("index", index, sql, sql == same)
        for what, (index, same, others) in test_indexes.INDEXES.items()
        for sql in (same, *others)
    },
    **{
        f"unique, {what}: {sql}": ("unique", constraint, sql, sql == same)
        for what, (constraint, same, others) in test_indexes.UNIQUES.items()
        for sql in (same, *others)
    },
}


@pytest.mark.parametrize("what", ELSEWHERE)
def test_a_table_judges_its_parts_as_their_own_operations_do(what: str) -> None:
    component, declared, sql, same = ELSEWHERE[what]
    operation, state = made(component, declared, "within")
    since = 150000 if "nulls not distinct" in what else 0
    if is_refused(Pair(declared, sql, sql, "", "", since), operation, state):
        return
    put(component, sql)
    if same:
        assert_nothing_is_sent(operation, state)
    else:
        assert assert_different(operation, state).component == component


NUMBERED: dict[str, tuple[Any, str]] = {
    f"{type_name}, {what}": (field, sql.format(type=type_name, serial=serial))
    for field, type_name, serial in (
        (models.SmallAutoField(primary_key=True), "smallint", "smallserial"),
        (models.AutoField(primary_key=True), "integer", "serial"),
        (SERIAL, "bigint", "bigserial"),
    )
    for what, sql in {
        "serial": "{serial} PRIMARY KEY",
        "identity by default": "{type} GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY",
        "identity always": "{type} GENERATED ALWAYS AS IDENTITY (START 100 CACHE 5) PRIMARY KEY",
        "nextval of a sequence": "{type} DEFAULT nextval('numbers') PRIMARY KEY",
        "nextval of a sequence in another schema": (
            "{type} DEFAULT nextval('aside.numbers') PRIMARY KEY"
        ),
    }.items()
}
UNNUMBERED: dict[str, tuple[str, str]] = {
    "no default": ("bigint PRIMARY KEY", "bigint NOT NULL"),
    "a constant": ("bigint DEFAULT 1 PRIMARY KEY", "bigint DEFAULT 1 NOT NULL"),
    "a function": (
        "bigint DEFAULT length('nextval(') PRIMARY KEY",
        "bigint DEFAULT length('nextval('::text) NOT NULL",
    ),
    "a sequence of another type": (
        "serial PRIMARY KEY",
        "integer numbered by a sequence NOT NULL",
    ),
}
NUMBERS = "CREATE SEQUENCE numbers; CREATE SEQUENCE aside.numbers"


def piece(field: Any) -> operations.CreateTableIfMissing:
    return operations.CreateTableIfMissing("Piece", [("id", field)], {"db_table": "piece"})


@pytest.mark.parametrize("what", NUMBERED)
def test_identity_and_sequence_are_one_numbering(what: str) -> None:
    field, sql = NUMBERED[what]
    recreate(NUMBERS, f"CREATE TABLE piece (id {sql})")
    assert_nothing_is_sent(piece(field), project_state())


@pytest.mark.parametrize("what", UNNUMBERED)
def test_a_key_that_is_numbered_otherwise_is_seen_and_shown(what: str) -> None:
    sql, found = UNNUMBERED[what]
    recreate(f"CREATE TABLE piece (id {sql})")
    error = assert_different(piece(SERIAL), project_state())
    assert (error.found, error.wanted) == (found, "bigint numbered by a sequence NOT NULL")
    scratch_schema.execute(f"INSERT INTO piece (id) VALUES (7); {error.fix}")
    assert_nothing_is_sent(piece(SERIAL), project_state())
    following = 1 if "serial" in sql else 8  # a sequence that is there counts on as it did
    assert scratch_schema.value("INSERT INTO piece DEFAULT VALUES RETURNING id") == following


@pytest.mark.parametrize(
    "sql", ["id bigserial", "id bigserial, other int CONSTRAINT piece_pkey PRIMARY KEY"]
)
def test_the_advice_gives_the_table_its_primary_key(sql: str) -> None:
    recreate(f"CREATE TABLE piece ({sql})")
    error = assert_different(piece(SERIAL), project_state())
    for statement in error.fix.split("; "):
        scratch_schema.execute(statement)
    assert_nothing_is_sent(piece(SERIAL), project_state())
    assert (
        scratch_schema.value(
            "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'piece_pkey'"
        )
        == "PRIMARY KEY (id)"
    )


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
    findings = judge(connection, APP, operation, state, after)
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
