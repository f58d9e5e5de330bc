"""Loading files of on-chain features: all of a file, or nothing of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from signals.verification.loading.feature_file import COLUMNS, BadLine, FeatureRow

MAX_LISTED: Final = 100
"""Bad lines that are listed; the others are only counted."""

_KEY: Final = "chain, address, as_of_ts, window_minutes"
_MEASURED: Final = "addr_active, tx_count, growth_ratio, top10_share, self_loop_ratio"
_CREATE: Final = """
CREATE TEMP TABLE loaded_features (
    line bigint, chain text, address text, as_of_ts timestamptz, window_minutes integer,
    calc_version integer, addr_active integer, tx_count integer, growth_ratio numeric,
    top10_share numeric, self_loop_ratio numeric
) ON COMMIT DROP
"""
_COPY: Final = f"COPY loaded_features (line, {', '.join(COLUMNS)}) FROM STDIN"
_CONTRADICTIONS: Final = f"""
SELECT line, first_line
FROM (
    SELECT line, first_value(line) OVER same AS first_line,
        ROW({_MEASURED}) IS DISTINCT FROM first_value(ROW({_MEASURED})) OVER same AS differs
    FROM loaded_features
    WINDOW same AS (PARTITION BY {_KEY}, calc_version ORDER BY line)
) each
WHERE differs
ORDER BY line
"""  # noqa: S608 - constants of this module, as below
_INSERT: Final = f"""
INSERT INTO onchain_features AS f ({_KEY}, calc_version, {_MEASURED})
SELECT DISTINCT ON ({_KEY}) {_KEY}, calc_version, {_MEASURED}
FROM loaded_features
ORDER BY {_KEY}, calc_version DESC, line
ON CONFLICT ({_KEY}) DO UPDATE
SET calc_version = excluded.calc_version, addr_active = excluded.addr_active,
    tx_count = excluded.tx_count, growth_ratio = excluded.growth_ratio,
    top10_share = excluded.top10_share, self_loop_ratio = excluded.self_loop_ratio,
    created_at = excluded.created_at, from_block = NULL, to_block = NULL, block_hash = NULL
WHERE f.calc_version < excluded.calc_version
RETURNING xmax = 0
"""  # noqa: S608
_LOAD: Final = f"""
WITH written(is_new) AS ({_INSERT})
SELECT count(*) FILTER (WHERE is_new), count(*) FILTER (WHERE NOT is_new) FROM written
"""  # noqa: S608


class BadLines(Exception):
    """A file has lines that cannot be loaded, so nothing of it was; `lines` has the first of `count`."""

    def __init__(self, lines: Sequence[BadLine], count: int) -> None:
        super().__init__(lines, count)
        self.lines = lines
        self.count = count

    def __str__(self) -> str:
        return f"nothing was loaded: {self.count} bad lines"


@dataclass(frozen=True, slots=True)
class LoadResult:
    """How many lines a file had, and what they became: new rows, rows that replaced an older one, neither."""

    lines: int
    added: int
    replaced: int

    @property
    def kept(self) -> int:
        """The number of lines that an equal or newer calc_version of the same measurement outweighed."""
        return self.lines - self.added - self.replaced


def load_features(
    connection: BaseDatabaseWrapper, lines: Iterable[FeatureRow | BadLine]
) -> LoadResult:
    """Load the lines in one transaction; a newer calc_version replaces an older one of the same measurement.

    Raise BadLines if there is a bad line, or if two lines of one calc_version contradict each other.
    Nothing is loaded then.
    """
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        cursor.execute(_CREATE)
        number, bad = _copy(cursor, lines)
        if not bad.count:
            cursor.execute(_CONTRADICTIONS)
            for line, first_line in cursor:
                bad.add(BadLine(line, f"contradicts line {first_line}"))
        if bad.count:
            raise BadLines(bad.listed, bad.count)
        cursor.execute(_LOAD)
        added, replaced = cursor.fetchone()
        cursor.execute("DROP TABLE loaded_features")  # the caller's transaction may go on
        return LoadResult(number, added, replaced)


class _BadLineList:
    """Bad lines, of which the first are kept and all are counted."""

    def __init__(self) -> None:
        self.listed: list[BadLine] = []
        self.count = 0

    def add(self, bad: BadLine) -> None:
        """Count a bad line, and keep it if it is one of the first."""
        self.count += 1
        if len(self.listed) < MAX_LISTED:
            self.listed.append(bad)


def _copy(cursor: Any, lines: Iterable[FeatureRow | BadLine]) -> tuple[int, _BadLineList]:
    """Send the rows to loaded_features up to the first bad line; return their number and the bad lines."""
    number, bad = 0, _BadLineList()
    with cursor.copy(_COPY) as copy:
        for line in lines:
            if isinstance(line, BadLine):
                bad.add(line)
            elif not bad.count:
                copy.write_row((line.line, *line.values))
                number += 1
    return number, bad
