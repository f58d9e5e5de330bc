"""Columns: a field, SQL for the same column, and SQL for another one."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Func, Value
from django.db.models.functions import Upper

from tests.operations.components.definition_pairs.pair import Grade, Pair

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

DOUBLED: Any = {"expression": models.F("amount") * 2, "output_field": models.IntegerField()}

SAME_COLUMNS: dict[str, tuple[Any, str]] = {
    "now() as CURRENT_TIMESTAMP": (
        models.DateTimeField(db_default=NOW),
        "timestamptz DEFAULT CURRENT_TIMESTAMP NOT NULL",
    ),
    "now() as transaction_timestamp()": (
        models.DateTimeField(db_default=NOW),
        "timestamptz DEFAULT transaction_timestamp() NOT NULL",
    ),
    "0 as 0.0": (models.FloatField(db_default=0), "double precision DEFAULT 0.0 NOT NULL"),
    "0 as a text": (models.FloatField(db_default=0), "double precision DEFAULT '0' NOT NULL"),
    "1000 as 1e3": (models.FloatField(db_default=1000), "double precision DEFAULT 1e3 NOT NULL"),
    "a fraction with more zeros": (
        models.DecimalField(max_digits=6, decimal_places=2, db_default=Decimal("0.5")),
        "numeric(6,2) DEFAULT 0.500 NOT NULL",
    ),
    "-1": (models.IntegerField(db_default=-1), "integer DEFAULT -1 NOT NULL"),
    "-1 as a text": (models.IntegerField(db_default=-1), "integer DEFAULT '-1' NOT NULL"),
    "not a number": (
        models.FloatField(db_default=float("nan")),
        "double precision DEFAULT 'NaN' NOT NULL",
    ),
    "a text cast to text": (
        models.CharField(max_length=9, db_default="a"),
        "varchar(9) DEFAULT 'a'::text NOT NULL",
    ),
    "a quote and a percent sign": (
        models.TextField(db_default="it's 100%"),
        "text DEFAULT 'it''s 100%' NOT NULL",
    ),
    "true": (models.BooleanField(db_default=True), "boolean DEFAULT 't' NOT NULL"),
    "NULL": (models.TextField(null=True), "text DEFAULT NULL"),
    "NULL with a cast": (models.TextField(null=True), "text DEFAULT NULL::text"),
    "an empty array as ARRAY[]": (
        ArrayField(models.TextField(), db_default=[]),
        "text[] DEFAULT ARRAY[]::text[] NOT NULL",
    ),
    "an empty array as {}": (
        ArrayField(models.TextField(), db_default=[]),
        "text[] DEFAULT '{}' NOT NULL",
    ),
    "an empty object": (models.JSONField(db_default={}), "jsonb DEFAULT '{}' NOT NULL"),
    "an object with its keys in another order": (
        models.JSONField(db_default={"a": 1, "b": [2]}),
        """jsonb DEFAULT '{"b": [2],   "a": 1}' NOT NULL""",
    ),
    "a collation": (models.TextField(null=True, db_collation="C"), 'text COLLATE "C"'),
    "an array of limited texts": (
        ArrayField(models.CharField(max_length=5), null=True),
        "character varying(5)[]",
    ),
    "a generated column": (
        models.GeneratedField(**DOUBLED, db_persist=True),
        "integer GENERATED ALWAYS AS (amount * 2) STORED",
    ),
    "a function": (
        models.TextField(db_default=Upper(models.Value("x"))),
        "text DEFAULT upper('x') NOT NULL",
    ),
}

OTHER_COLUMNS: dict[str, tuple[Any, str]] = {
    "a shorter varchar": (models.CharField(max_length=9, null=True), "varchar(8)"),
    "a varchar without a limit": (models.CharField(max_length=9, null=True), "varchar"),
    "a text": (models.CharField(max_length=9, null=True), "text"),
    "another scale": (
        models.DecimalField(max_digits=6, decimal_places=2, null=True),
        "numeric(6,3)",
    ),
    "a smaller integer": (models.IntegerField(null=True), "smallint"),
    "a coarser timestamp": (models.DateTimeField(null=True), "timestamptz(3)"),
    "a timestamp without time zone": (models.DateTimeField(null=True), "timestamp"),
    "json": (models.JSONField(null=True), "json"),
    "an array of longer texts": (
        ArrayField(models.CharField(max_length=5), null=True),
        "varchar(6)[]",
    ),
    "no array": (ArrayField(models.TextField(), null=True), "text"),
    "another collation": (models.TextField(null=True, db_collation="C"), 'text COLLATE "POSIX"'),
    "the default collation": (models.TextField(null=True, db_collation="C"), "text"),
    "another number": (models.FloatField(null=True, db_default=0), "float8 DEFAULT 0.1"),
    "a default where none is declared": (models.TextField(null=True), "text DEFAULT ''"),
    "an object with another value": (
        models.JSONField(null=True, db_default={"a": 1}),
        """jsonb DEFAULT '{"a": 2}'""",
    ),
    "an array with an element": (
        ArrayField(models.TextField(), null=True, db_default=[]),
        "text[] DEFAULT ARRAY['x']",
    ),
    "text that reads like another number": (
        models.TextField(null=True, db_default="1"),
        "text DEFAULT '1.0'",
    ),
    "the function in place of the text that reads like it": (
        models.TextField(null=True, db_default="now()"),
        "text DEFAULT now()",
    ),
    "the time of the clock": (
        models.DateTimeField(null=True, db_default=NOW),
        "timestamptz DEFAULT clock_timestamp()",
    ),
    "a sequence": (models.IntegerField(db_default=0), "serial"),
    "an identity": (models.IntegerField(), "integer GENERATED ALWAYS AS IDENTITY"),
    "generated otherwise": (
        models.GeneratedField(**DOUBLED, db_persist=True),
        "integer GENERATED ALWAYS AS (amount * 3) STORED",
    ),
    "not generated": (models.GeneratedField(**DOUBLED, db_persist=True), "integer DEFAULT 2"),
}
