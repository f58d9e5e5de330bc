"""Uniquenesses: a constraint, SQL for the same one, and SQL for another one."""

from django.db import models
from django.db.models import F, Q, UniqueConstraint
from django.db.models.functions import Collate, Length, Lower

from tests.operations.components.definition_pairs.pair import N, Pair

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

UNIQUE_VARIANTS: dict[str, tuple[UniqueConstraint, str, list[str]]] = {
    "two columns": (
        UniqueConstraint(fields=["label", "amount"], **N),
        "ALTER TABLE part ADD CONSTRAINT wanted UNIQUE (label, amount)",
        [
            "ALTER TABLE part ADD CONSTRAINT wanted UNIQUE (amount, label)",
            "CREATE UNIQUE INDEX wanted ON part (label, amount DESC)",
        ],
    ),
    "include": (
        UniqueConstraint(fields=["label"], include=["amount"], **N),
        "CREATE UNIQUE INDEX wanted ON part (label) INCLUDE (amount)",
        ["CREATE UNIQUE INDEX wanted ON part (label)"],
    ),
    "deferred": (
        UniqueConstraint(fields=["label"], deferrable=models.Deferrable.DEFERRED, **N),
        "ALTER TABLE part ADD CONSTRAINT wanted UNIQUE (label) DEFERRABLE INITIALLY DEFERRED",
        [
            "ALTER TABLE part ADD CONSTRAINT wanted UNIQUE (label)",
            "ALTER TABLE part ADD CONSTRAINT wanted UNIQUE (label) DEFERRABLE",
        ],
    ),
    "deferrable": (
        UniqueConstraint(fields=["label"], deferrable=models.Deferrable.IMMEDIATE, **N),
        "ALTER TABLE part ADD CONSTRAINT wanted UNIQUE (label) DEFERRABLE INITIALLY IMMEDIATE",
        ["ALTER TABLE part ADD CONSTRAINT wanted UNIQUE (label) DEFERRABLE INITIALLY DEFERRED"],
    ),
    "nulls not distinct": (
        UniqueConstraint(fields=["label"], nulls_distinct=False, **N),
        "ALTER TABLE part ADD CONSTRAINT wanted UNIQUE NULLS NOT DISTINCT (label)",
        ["ALTER TABLE part ADD CONSTRAINT wanted UNIQUE (label)"],
    ),
    "nulls not distinct, include": (
        UniqueConstraint(fields=["label"], nulls_distinct=False, include=["amount"], **N),
        "CREATE UNIQUE INDEX wanted ON part (label) INCLUDE (amount) NULLS NOT DISTINCT",
        ["CREATE UNIQUE INDEX wanted ON part (label) INCLUDE (amount)"],
    ),
    "operator class": (
        UniqueConstraint(fields=["label"], opclasses=["text_pattern_ops"], **N),
        "CREATE UNIQUE INDEX wanted ON part (label text_pattern_ops)",
        ["CREATE UNIQUE INDEX wanted ON part (label)"],
    ),
    "condition": (
        UniqueConstraint(fields=["label"], condition=Q(label__startswith="100%"), **N),
        "CREATE UNIQUE INDEX wanted ON part (label) WHERE label::text LIKE '100\\%%'",
        ["CREATE UNIQUE INDEX wanted ON part (label) WHERE label LIKE '100%'"],
    ),
    "expression": (
        UniqueConstraint(Lower("label"), F("amount").desc(), **N),
        "CREATE UNIQUE INDEX wanted ON part (lower(label), amount DESC)",
        ["CREATE UNIQUE INDEX wanted ON part (lower(label), amount)"],
    ),
    "expression, nulls not distinct": (
        UniqueConstraint(Lower("label"), nulls_distinct=False, **N),
        "CREATE UNIQUE INDEX wanted ON part (lower(label)) NULLS NOT DISTINCT",
        ["CREATE UNIQUE INDEX wanted ON part (lower(label))"],
    ),
}
