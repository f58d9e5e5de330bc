"""Indexes: an index, SQL for the same one, and SQL for another one."""

from django.contrib.postgres.indexes import BrinIndex, BTreeIndex, GinIndex, HashIndex
from django.db.models import F, Index, Q
from django.db.models.functions import Abs, Collate, Lower, Trim, Upper

from tests.operations.components.definition_pairs.pair import N, Pair

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
        "USING brin (made_at timestamptz_minmax_ops) WITH (pages_per_range = 8)",
        "USING btree (made_at) WITH (fillfactor = 80)",
        "CREATE INDEX wanted ON bench.part USING btree (made_at) WITH (fillfactor='80')",
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

# As Django makes them, INCLUDE keeps a unique constraint an index alone.
# The declared index, the same by hand, and what is another one.
INDEX_VARIANTS: dict[str, tuple[Index, str, list[str]]] = {
    "two columns": (
        Index(fields=["label", "amount"], **N),
        "(label, amount)",
        ["(amount, label)", "(label)", "(label, amount, id)", "(label) INCLUDE (amount)"],
    ),
    "descending": (
        Index(fields=["-label"], **N),
        "(label DESC NULLS FIRST)",
        ["(label)", "(label DESC NULLS LAST)"],
    ),
    "nulls first": (
        Index(F("label").asc(nulls_first=True), **N),
        "(label NULLS FIRST)",
        ["(label)", "(label DESC)"],
    ),
    "nulls last": (
        Index(F("label").desc(nulls_last=True), "amount", **N),
        "(label DESC NULLS LAST, amount)",
        ["(label DESC, amount)"],
    ),
    "operator class": (
        Index(fields=["label"], opclasses=["text_pattern_ops"], **N),
        "(label text_pattern_ops)",
        ["(label)", "(label varchar_pattern_ops)"],
    ),
    "include": (
        Index(fields=["label"], include=["amount"], **N),
        "(label) INCLUDE (amount)",
        ["(label)", "(label) INCLUDE (made_at)", "(label, amount)"],
    ),
    "partial": (
        Index(fields=["label"], condition=Q(amount__gt=0), **N),
        "(label) WHERE amount > 0",
        ["(label)", "(label) WHERE amount > 1", "(label) WHERE amount IS NOT NULL"],
    ),
    "partial with IN": (
        Index(fields=["label"], condition=Q(label__in=("a", "b")), **N),
        "(label) WHERE label = ANY (ARRAY['a', 'b'])",
        ["(label) WHERE label IN ('a', 'c')"],
    ),
    "partial with a percent sign": (
        Index(fields=["label"], condition=Q(label="100%"), **N),
        "(label) WHERE label = '100%'",
        ["(label) WHERE label = '100%%'"],
    ),
    "partial with quotes": (
        Index(fields=["label"], condition=Q(label="""it's "so" """), **N),
        """(label) WHERE label = 'it''s "so" '""",
        ["(label) WHERE label = 'its'"],
    ),
    "expression": (Index(Upper("label"), **N), "(upper(label))", ["(lower(label))", "(label)"]),
    "expression and column": (
        Index(Lower("label"), F("amount").desc(), **N),
        "(lower(label), amount DESC)",
        ["(lower(label), amount)"],
    ),
    "collation": (
        Index(Collate("label", "C"), **N),
        '(label COLLATE "C")',
        ["(label)", '(label COLLATE "POSIX")'],
    ),
    "fill factor": (
        BTreeIndex(fields=["label"], fillfactor=70, **N),
        "(label) WITH (fillfactor = 70)",
        ["(label)", "(label) WITH (fillfactor = 80)"],
    ),
    "two storage parameters": (
        BTreeIndex(fields=["label"], fillfactor=70, deduplicate_items=False, **N),
        "(label) WITH (fillfactor = 70, deduplicate_items = off)",
        ["(label) WITH (fillfactor = 70)"],
    ),
    "gin": (
        GinIndex(fields=["tags"], **N),
        "USING gin (tags)",
        ["(tags)"],
    ),
    "hash": (HashIndex(fields=["label"], **N), "USING hash (label)", ["(label)"]),
    "brin": (
        BrinIndex(fields=["made_at"], pages_per_range=16, autosummarize=True, **N),
        "USING brin (made_at) WITH (autosummarize = on, pages_per_range = 16)",
        ["USING brin (made_at)", "USING brin (made_at) WITH (pages_per_range = 16)"],
    ),
}
