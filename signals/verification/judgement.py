"""SQL for the verdicts on signals, from their texts to what is to be written; evaluation.py in the database.

A test holds both equal. Signals whose token is written in an unusual way are left out, and those of a chain
of which the run has not read a percentile yet: they are left to evaluation.py.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from signals.choices import Note
from signals.verification.changes import STATE, run_parameters
from signals.verification.features import (
    DECIDING_WINDOW,
    PERCENTILE_DECIMALS,
    newest_measurement,
    times_of_measurements,
)
from signals.verification.margin import margin_sql
from signals.verification.rules import FEATURE_RANGES, HOLD, Condition, confidence, insufficient
from signals.verification.run import NOW, Run
from signals.verification.tokens import DEFAULT_CHAIN, EVM_CHAINS
from signals.verification.verdict import Feature
from signals.verification.writing import writing_parameters

# The planner merges subqueries, and would evaluate each expression again wherever its column is named;
# OFFSET 0 keeps them apart.

# The token of each signal, without a row for one that is left to evaluation.py. Of all texts that tokens.py
# accepts, only those of printable ASCII are read here; they mean the same to PostgreSQL and to Python. A bare
# token_ca has the chain of the event_key if the chain has such addresses, or if it is the address of the
# event_key. In the end the texts have the collation of columns, without which no index would be used.
_TOKENS: Final = """
readable AS (
    SELECT *, contract <> '' AND strpos(contract, ':') = 0 AS is_bare
    FROM (
        SELECT signal_id AS signal, overdue<carried>, coalesce(token_ca, '') COLLATE "C" AS contract,
            coalesce(event_key, '') COLLATE "C" AS key
        FROM found
        WHERE is_candidate AND NOT is_young
        OFFSET 0
    ) ready
    WHERE (contract || key) ~ '^[!-~]*$' AND length(contract) <= 200
    OFFSET 0
), split AS (
    SELECT signal, overdue<carried>, contract, is_bare, split_part(source, ':', 1) AS chain,
        split_part(source, ':', 2) AS address
    FROM (
        SELECT *, CASE WHEN contract = '' OR is_bare THEN key ELSE contract END AS source
        FROM readable
        OFFSET 0
    ) sources
    OFFSET 0
), named AS (
    SELECT signal, overdue<carried>, is_bare, is_bare AND contract <> address AS is_other,
        lower(replace(chain, '-', '_')) AS folded,
        CASE WHEN is_bare THEN contract ELSE address END AS address,
        chain ~ '^[A-Za-z][A-Za-z0-9_-]*$' AND length(chain) <= 50
            AND length(address) BETWEEN 1 AND 200 AS is_named
    FROM split
    OFFSET 0
), token AS (
    SELECT signal, overdue<carried>, chain COLLATE "default" AS chain,
        CASE WHEN is_evm THEN lower(address) ELSE address END COLLATE "default" AS address
    FROM (
        SELECT signal, overdue<carried>, is_other,
            CASE WHEN is_named THEN coalesce(%(aliases)s::jsonb ->> folded, folded) ELSE %(default_chain)s END
                AS chain,
            address, length(address) = 42 AND address ~ '^0[xX][0-9a-fA-F]+$' AS is_evm
        FROM named
        WHERE is_named OR is_bare
        OFFSET 0
    ) token
    WHERE CASE WHEN chain = ANY (%(evm_chains)s) THEN is_evm ELSE NOT is_other END
        AND chain <> ALL (%(uncounted)s)
    OFFSET 0
)"""

_EVIDENCE: Final = """
evidence AS (
    SELECT token.*, newest.*, newest.as_of_ts AS evidence
    FROM token
    LEFT JOIN LATERAL (<newest>) newest ON true
    OFFSET 0
)"""
_OF_ONE_SPELLING: Final = newest_measurement(
    "(%(spellings)s::jsonb ->> token.chain)", "token.address"
)
_OF_SEVERAL_SPELLINGS: Final = f"""
SELECT f.*
FROM jsonb_array_elements_text(%(spellings)s::jsonb -> token.chain) AS spelling(name)
CROSS JOIN LATERAL ({newest_measurement("spelling.name", "token.address")}) f
ORDER BY f.as_of_ts DESC, f.id DESC
LIMIT 1
"""  # noqa: S608 - constants of the modules, as below

# Population.percentile(). The arrays are constants of the statement: rows that hold them would be copied for
# each signal. width_bucket() bisects; it returns the number of values up to this one.
_MEASURED: Final = f"""
measured AS (
    SELECT evidence.*, pg_catalog.trim_scale(pg_catalog.div(
        (below[place + 1]
            + CASE WHEN "values"[place] = addr_active THEN below[place] ELSE below[place + 1] END)
        * 1e{PERCENTILE_DECIMALS} + rows, 2 * rows) * 1e-{PERCENTILE_DECIMALS}) AS active_addr_pctl
    FROM evidence
    CROSS JOIN LATERAL (
        SELECT <values> AS "values", <below> AS below
    ) population
    CROSS JOIN LATERAL (
        SELECT pg_catalog.width_bucket(addr_active::bigint, "values") AS place,
            below[pg_catalog.cardinality(below)]::numeric AS rows
    ) placed
    OFFSET 0
)"""  # noqa: S608

_FEATURES: Final = ", ".join(f"'{feature.value}', {feature.value}" for feature in Feature)
_JUDGED: Final = f"""
judged AS (
    SELECT *, CASE
        WHEN evidence IS NULL AND overdue THEN 'evidence_delayed'
        WHEN evidence IS NULL THEN 'insufficient_evidence'
        WHEN evidence < {NOW} - %(max_age)s THEN 'feature_stale'
        WHEN NOT %(is_supported)s THEN 'window_unsupported'
        WHEN <is_missing> THEN 'feature_missing'
        WHEN NOT (<is_valid>) THEN 'feature_out_of_range'
        ELSE ''
    END AS note
    FROM measured
    OFFSET 0
), decided AS (
    SELECT *, CASE
        WHEN note <> '' THEN 'insufficient'
        WHEN <is_bad> THEN 'downgrade'
        WHEN <is_good> THEN 'upgrade'
        ELSE 'hold'
    END AS decision
    FROM judged
    OFFSET 0
), given AS MATERIALIZED (
    SELECT signal<carried>, evidence, calc_version, decision, note, chain, address,
        CASE decision WHEN 'downgrade' THEN %(of_downgrade)s WHEN 'upgrade' THEN %(of_upgrade)s
            WHEN 'hold' THEN %(of_hold)s ELSE %(of_insufficient)s END AS confidence,
        CASE WHEN note IN ('feature_missing', 'feature_out_of_range') THEN (
            SELECT pg_catalog.jsonb_agg(name ORDER BY place)
            FROM (<used>) used
            WHERE CASE note WHEN 'feature_missing' THEN value IS NULL ELSE NOT is_valid END
        )::text ELSE '[]' END AS named,
        CASE WHEN evidence IS NULL THEN pg_catalog.jsonb_build_object()
            ELSE pg_catalog.jsonb_build_object({_FEATURES}) END AS features,
        CASE decision WHEN 'downgrade' THEN <bad_margin> WHEN 'upgrade' THEN <good_margin>
            WHEN 'hold' THEN greatest(<bad_margin>, <good_margin>) END AS margin, {STATE}
    FROM decided
)"""  # noqa: S608


def judgement(run: Run, now: datetime, carried: Sequence[str] = ()) -> tuple[str, dict[str, Any]]:
    """Return SQL for `given`, what is to be written on the signals in `found`, and its parameters.

    `given` has also the `carried` columns of `found`. It lacks the signals that are left to evaluation.py.
    """
    sql, parameters = _with_populations(run, *_with_rules(run))
    columns = "".join(f", {name}" for name in carried)
    return sql.replace("<carried>", columns), {**parameters, **times_of_measurements(now)}


def _with_rules(run: Run) -> tuple[str, dict[str, Any]]:
    """Return the SQL for the rules of the run, and its parameters besides those of the evidence."""
    rules = run.rules
    used = rules.used_features
    bad_margin, bad = margin_sql("bad", rules.downgrade_if)
    good_margin, good = margin_sql("good", rules.upgrade_if)
    parts = {
        "is_missing": " OR ".join(f"{feature.value} IS NULL" for feature in used),
        "is_valid": " AND ".join(map(_is_valid, used)),
        "is_bad": _all_hold("bad", rules.downgrade_if),
        "is_good": _all_hold("good", rules.upgrade_if),
        "bad_margin": bad_margin,
        "good_margin": good_margin,
        "used": " UNION ALL ".join(
            f"SELECT {place} AS place, '{feature.value}' AS name, {feature.value} AS value, "
            f"{_is_valid(feature)} AS is_valid"
            for place, feature in enumerate(used)
        ),
    }
    judged = _JUDGED
    for name, part in parts.items():
        judged = judged.replace(f"<{name}>", part)
    parameters = {
        **run_parameters(run),
        **writing_parameters(),
        **bad,
        **good,
        "of_upgrade": confidence(len(rules.upgrade_if), len(rules.upgrade_if)),
        "of_downgrade": confidence(len(rules.downgrade_if), len(rules.downgrade_if)),
        "of_hold": HOLD.confidence,
        "of_insufficient": insufficient(Note.FEATURE_MISSING).confidence,
        "is_supported": DECIDING_WINDOW in rules.windows,
        "aliases": json.dumps(dict(run.settings.chain_aliases)),
        "default_chain": DEFAULT_CHAIN,
        "evm_chains": sorted(EVM_CHAINS),
    }
    return f"{_TOKENS}, {_EVIDENCE}, {_MEASURED}, {judged}", parameters


def _with_populations(run: Run, sql: str, parameters: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the SQL for the populations that are known so far, and with the parameters of its evidence."""
    spellings = run.evidence.spellings(run.connection)
    populations = run.evidence.known_populations()
    is_one = all(len(names) == 1 for names in spellings.values())
    parameters |= {
        "spellings": json.dumps(
            {chain: names[0] if is_one else names for chain, names in spellings.items()}
        ),
        "uncounted": sorted(spellings.keys() - populations.keys()),
    }
    sql = sql.replace("<newest>", _OF_ONE_SPELLING if is_one else _OF_SEVERAL_SPELLINGS)
    values, below = [], []
    for place, (chain, population) in enumerate(populations.items()):
        if population.arrays:
            names = f"chain_{place}", f"values_{place}", f"below_{place}"
            parameters |= dict(zip(names, (chain, *population.arrays), strict=True))
            values.append(f"WHEN %({names[0]})s THEN %({names[1]})s::bigint[]")
            below.append(f"WHEN %({names[0]})s THEN %({names[2]})s::bigint[]")
    for name, branches in (("values", values), ("below", below)):
        case = f"CASE evidence.chain {' '.join(branches)} END" if branches else "NULL::bigint[]"
        sql = sql.replace(f"<{name}>", case)
    return sql, parameters


def _all_hold(prefix: str, conditions: Sequence[Condition]) -> str:
    """Return SQL for whether all conditions hold; the thresholds are parameters."""
    return " AND ".join(
        f"{each.feature.value} {each.operator.value} %({prefix}_{place})s"
        for place, each in enumerate(conditions)
    )


def _is_valid(feature: Feature) -> str:
    """Return SQL for in_range(); NaN is greater than all other numbers to PostgreSQL."""
    low, high = FEATURE_RANGES[feature]
    below = "<" if high.is_infinite() else "<="
    return f"{feature.value} >= {low} AND {feature.value} {below} '{high}'::numeric"
