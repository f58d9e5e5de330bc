"""Checks: a condition, SQL for the same check, and SQL for another one."""

from datetime import UTC, date, datetime

from django.db.models import F, Q, Value
from django.db.models.functions import Coalesce, Collate, Length, Trim, Upper
from django.db.models.lookups import Exact, GreaterThan

from tests.operations.components.definition_pairs.pair import Pair

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

SAME_CHECKS: dict[str, tuple[Q, str]] = {
    "IN": (Q(label__in=("bolt", "nut", "cog")), "label IN ('bolt', 'nut', 'cog')"),
    "IN as = ANY": (
        Q(label__in=("bolt", "nut", "cog")),
        "label = ANY (ARRAY['bolt', 'nut', 'cog'])",
    ),
    "IN of a varchar": (Q(code__in=("a", "b")), "code IN ('a', 'b')"),
    "IN of numbers": (Q(amount__in=(3, 5, 8)), "amount = ANY (ARRAY[3, 5, 8])"),
    "BETWEEN": (Q(amount__range=(1, 9)), "amount BETWEEN 1 AND 9"),
    "BETWEEN as two": (Q(amount__range=(1, 9)), "(amount >= 1) AND (amount <= (9))"),
    "two conditions": (Q(amount__gt=0) | Q(label="x"), "amount > 0 OR label = 'x'"),
    "not": (~Q(label=""), "NOT (label = '' AND label IS NOT NULL)"),
    "a text cast": (Q(label="x") | Q(amount__gt=0), "label = 'x'::text OR amount > 0"),
    "a function": (Q(GreaterThan(Length(Upper("label")), 1)), "length(upper(label)) > 1"),
    "two columns": (Q(amount__lte=F("id") + 9), "amount <= id + 9"),
    "a quote": (~Q(label="it's"), "NOT (label = 'it''s' AND label IS NOT NULL)"),
    "a percent sign": (~Q(label="100%"), "NOT (label = '100%' AND label IS NOT NULL)"),
    "a pattern": (Q(label__startswith="b") | Q(amount__gt=0), "label LIKE 'b%' OR amount > 0"),
    "a backslash": (~Q(label="a\\b"), "NOT (label = 'a\\b' AND label IS NOT NULL)"),
    "is null": (Q(code__isnull=True), "code IS NULL"),
}

OTHER_CHECKS: dict[str, tuple[Q, str]] = {
    "a value less": (Q(label__in=("bolt", "nut", "cog", "x")), "label IN ('bolt', 'nut', 'cog')"),
    "a value more": (Q(label__in=("bolt", "nut", "cog")), "label IN ('bolt','nut','cog','x')"),
    "another bound": (Q(amount__range=(1, 9)), "amount BETWEEN 1 AND 10"),
    "another operator": (Q(amount__gt=0), "amount >= 0"),
    "another column": (Q(amount__gt=0), "id > 0"),
    "another function": (Q(GreaterThan(Length("label"), 1)), "octet_length(label) > 1"),
    "or in place of and": (
        Q(amount__gt=0) & Q(id__gt=0),
        "amount > 0 OR id > 0",
    ),
    "a doubled percent sign": (
        ~Q(label="100%"),
        "NOT (label = '100%%' AND label IS NOT NULL)",
    ),
}
