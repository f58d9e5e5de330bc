"""The features of tokens over windows of blocks, in one statement, by the transfers and balances stored.

The measurements are dated by the last block's time. What the first block of a token's history does not
reach is missing (NULL), and never computed from a part:

* `addr_active`, `tx_count` and `self_loop_ratio` need the blocks of the window;
* `growth_ratio` needs those of the window before, too;
* `top10_share` needs the whole history of the chain, which is a cursor that began at block 0.

Shares are rounded half up to SHARE_DECIMALS.
"""

from typing import Any, Final

from django.db.backends.base.base import BaseDatabaseWrapper

from signals.chain.storing import Lease
from signals.chain.windows import WALLET_TRANSFERS, Measured, without_jit
from signals.choices import WINDOW_MINUTES

CALC_VERSION: Final = 2
"""The version of these definitions; growth is stored as now / before."""
SHARE_DECIMALS: Final = 28
LARGEST: Final = 10
"""Balances whose share is measured."""


def share(part: str, whole: str) -> str:
    """Return SQL for part / whole, whole numbers of at least 0, rounded half up to SHARE_DECIMALS."""
    units = f"1{'0' * SHARE_DECIMALS}"
    return (
        f"pg_catalog.trim_scale(pg_catalog.div(2 * ({part}) * {units} + ({whole}), 2 * ({whole}))"
        f" * 1e-{SHARE_DECIMALS})"
    )


def _each_window(text: str) -> str:
    """Return SQL that is the text for each window; {n} is its number, {start} and {before} its blocks."""
    return ",\n        ".join(
        text.format(
            n=n, start=f"(%(starts)s::bigint[])[{n}]", before=f"(%(befores)s::bigint[])[{n}]"
        )
        for n in range(1, len(WINDOW_MINUTES) + 1)
    )


_SUM: Final = "coalesce(sum(value) FILTER (WHERE block >= {start}"
# Each transfer is read once: accounts, transactions and pairs are grouped first, with what each window
# needs of them, and then counted.
_MEASURE: Final = f"""
WITH span AS (
    SELECT n::integer, minutes, start, before
    FROM unnest(%(minutes)s::integer[], %(starts)s::bigint[], %(befores)s::bigint[])
        WITH ORDINALITY AS span(minutes, start, before, n)
), token AS MATERIALIZED (
    SELECT id, address, first_block, greatest(first_block, kept_from) AS known_from
    FROM chain_cursors
    WHERE id = ANY (%(ids)s) AND run = %(run)s AND block = %(last)s AND hash = %(hash)s
), account AS (
    SELECT t.token_id, max(t.block) AS newest,
        {_each_window("bool_or(t.block >= {before} AND t.block < {start}) AS before{n}")}
    FROM chain_transfers t
    CROSS JOIN LATERAL (VALUES (t.sender), (t.receiver)) AS side(address)
    WHERE t.token_id = ANY (%(ids)s) AND t.block BETWEEN %(earliest)s AND %(last)s
        AND side.address <> ALL (%(burned)s::bytea[])
    GROUP BY t.token_id, side.address
), traffic AS (
    SELECT token_id AS id, ARRAY[
        {_each_window("count(*) FILTER (WHERE newest >= {start})")}
    ] AS active, ARRAY[
        {_each_window("count(*) FILTER (WHERE before{n})")}
    ] AS active_before
    FROM account
    GROUP BY token_id
), transactions AS (
    SELECT token_id AS id, ARRAY[
        {_each_window("count(*) FILTER (WHERE block >= {start})")}
    ] AS number
    FROM (
        SELECT t.token_id, t.block, t.tx_index FROM chain_transfers t
        WHERE t.token_id = ANY (%(ids)s) AND t.block BETWEEN %(widest)s AND %(last)s
        GROUP BY t.token_id, t.block, t.tx_index
    ) transaction
    GROUP BY token_id
), pair AS (
    SELECT token_id, bool_or(sender = receiver) AS is_self,
        {_each_window(f"{_SUM} AND sender <= receiver), 0) AS forth{{n}}")},
        {_each_window(f"{_SUM} AND sender > receiver), 0) AS back{{n}}")}
    FROM ({WALLET_TRANSFERS}) wallets
    GROUP BY token_id, least(sender, receiver), greatest(sender, receiver)
), loops AS (
    SELECT token_id AS id, ARRAY[
        {_each_window("sum(forth{n} + back{n})")}
    ] AS value, ARRAY[
        {_each_window("sum(CASE WHEN is_self THEN forth{n} ELSE 2 * least(forth{n}, back{n}) END)")}
    ] AS looped
    FROM pair
    GROUP BY token_id
), holders AS (
    SELECT token.id, (
        SELECT sum(b.net) FROM chain_balances b
        WHERE b.token_id = token.id AND b.net > 0 AND b.holder <> ALL (%(others)s::bytea[])
    ) AS held, (
        SELECT sum(largest.net) FROM (
            SELECT b.net FROM chain_balances b
            WHERE b.token_id = token.id AND b.net > 0 AND b.holder <> ALL (%(others)s::bytea[])
            ORDER BY b.net DESC LIMIT {LARGEST}
        ) largest
    ) AS largest
    FROM token
    WHERE token.first_block = 0
)
INSERT INTO onchain_features AS f (chain, address, as_of_ts, window_minutes, addr_active, tx_count,
    growth_ratio, top10_share, self_loop_ratio, calc_version, from_block, to_block, block_hash)
SELECT %(chain)s, token.address, %(as_of)s, span.minutes,
    CASE WHEN span.start >= token.known_from THEN coalesce(traffic.active[span.n], 0) END,
    CASE WHEN span.start >= token.known_from THEN coalesce(transactions.number[span.n], 0) END,
    CASE WHEN span.before >= token.known_from THEN
        {share("coalesce(active[span.n], 0)", "greatest(coalesce(active_before[span.n], 0), 1)")}
    END,
    CASE WHEN holders.held > 0 THEN {share("holders.largest", "holders.held")} END,
    CASE WHEN span.start >= token.known_from THEN
        CASE WHEN value[span.n] > 0 THEN {share("looped[span.n]", "value[span.n]")} ELSE 0 END
    END,
    {CALC_VERSION}, greatest(span.before, token.first_block), %(last)s, %(hash)s
FROM token
CROSS JOIN span
LEFT JOIN traffic ON traffic.id = token.id
LEFT JOIN transactions ON transactions.id = token.id
LEFT JOIN loops ON loops.id = token.id
LEFT JOIN holders ON holders.id = token.id
WHERE token.first_block <= %(last)s
ORDER BY token.id, span.minutes
ON CONFLICT (chain, address, as_of_ts, window_minutes) DO UPDATE
SET addr_active = excluded.addr_active, tx_count = excluded.tx_count, growth_ratio = excluded.growth_ratio,
    top10_share = excluded.top10_share, self_loop_ratio = excluded.self_loop_ratio,
    calc_version = excluded.calc_version, from_block = excluded.from_block, to_block = excluded.to_block,
    block_hash = excluded.block_hash
WHERE (f.to_block IS NOT NULL OR f.calc_version < excluded.calc_version)
    AND (f.addr_active, f.tx_count, f.growth_ratio, f.top10_share, f.self_loop_ratio, f.calc_version,
        f.from_block, f.to_block, f.block_hash) IS DISTINCT FROM
        (excluded.addr_active, excluded.tx_count, excluded.growth_ratio, excluded.top10_share,
        excluded.self_loop_ratio, excluded.calc_version, excluded.from_block, excluded.to_block,
        excluded.block_hash)
"""  # noqa: S608 - constants of modules


def measure(
    connection: BaseDatabaseWrapper, lease: Lease, measured: Measured, ids: list[int]
) -> None:
    """Write the features of the tokens over each window, which are read up to the last block.

    * `addr_active`: distinct addresses that sent or received, without address 0 and burn addresses.
      Source: Transfer logs of the window; unit: addresses.
    * `tx_count`: transactions of the window with at least one transfer of the token.
    * `growth_ratio`: addr_active / max(addr_active of the window before, which is disjoint, 1); no unit.
    * `top10_share`: the ten largest positive balances / all positive balances, both without burn addresses
      and known pools; from 0 to 1. Balances are the sums of all logs up to the last block. Where they are
      negative, as of tokens that rebase or take fees without a log, they count as 0. Missing where nobody
      holds any.
    * `self_loop_ratio`: (value sent to oneself + 2 x the smaller side of each pair that sent to and fro) /
      all value, of the transfers between wallets, which are those without contracts, address 0, burn
      addresses and known pools on either side; from 0 to 1, and 0 where no such value moved.
    """
    parameters: dict[str, Any] = {**measured.parameters(ids), "run": lease.run}
    with without_jit(connection) as cursor:
        cursor.execute(_MEASURE, parameters)
