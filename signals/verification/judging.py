"""Judging in the database: one statement claims what is due, judges it, and writes the verdicts.

It judges as evaluation.py does, and a test holds both equal. Some signals it claims, and leaves them to
evaluation.py: those whose token is written in an unusual way, and those of a chain of which the run has not
read a percentile yet.
"""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from django.db import DatabaseError

from signals.choices import Decision, Note
from signals.verification.bisection import is_row_error
from signals.verification.candidates import DUE, FOUND, RESCHEDULED, Batch, Candidate, claim
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
from signals.verification.settings import Mode
from signals.verification.tally import COUNT_OF_DECISION
from signals.verification.tokens import DEFAULT_CHAIN, EVM_CHAINS
from signals.verification.verdict import Feature
from signals.verification.writing import WRITTEN, writing_parameters

# The token of each signal, without a row for one that is left to evaluation.py. Of all texts that tokens.py
# accepts, only those of printable ASCII are read here; they mean the same to PostgreSQL and to Python. A bare
# token_ca has the chain of the event_key if the chain has such addresses, or if it is the address of the
# event_key. In the end the texts have the collation of columns, without which no index would be used.
_TOKENS: Final = """
readable AS (
    SELECT signal_id, overdue, contract, event_key, contract <> '' AND strpos(contract, ':') = 0 AS is_bare
    FROM (
        SELECT signal_id, overdue, coalesce(token_ca, '') COLLATE "C" AS contract,
            coalesce(event_key, '') COLLATE "C" AS event_key
        FROM found
        WHERE is_candidate AND NOT is_young
        OFFSET 0
    ) ready
    WHERE contract ~ '^[!-~]*$' AND event_key ~ '^[!-~]*$'
        AND length(contract) <= 200
    OFFSET 0
), split AS (
    SELECT signal_id, overdue, contract, is_bare, split_part(source, ':', 1) AS chain,
        split_part(source, ':', 2) AS address
    FROM (
        SELECT *, CASE WHEN contract = '' OR is_bare THEN event_key ELSE contract END AS source
        FROM readable
        OFFSET 0
    ) sources
    OFFSET 0
), named AS (
    SELECT signal_id, overdue, is_bare, is_bare AND contract <> address AS is_other,
        lower(replace(chain, '-', '_')) AS folded,
        CASE WHEN is_bare THEN contract ELSE address END AS address,
        chain ~ '^[A-Za-z][A-Za-z0-9_-]*$' AND length(chain) <= 50
            AND length(address) BETWEEN 1 AND 200 AS is_named
    FROM split
    OFFSET 0
), token AS MATERIALIZED (
    SELECT signal_id, overdue, chain COLLATE "default" AS chain,
        CASE WHEN is_evm THEN lower(address) ELSE address END COLLATE "default" AS address
    FROM (
        SELECT signal_id, overdue, is_other,
            CASE WHEN is_named THEN coalesce(%(aliases)s::jsonb ->> folded, folded) ELSE %(default_chain)s END
                AS chain,
            address, length(address) = 42 AND address ~ '^0[xX][0-9a-fA-F]+$' AS is_evm
        FROM named
        WHERE is_named OR is_bare
        OFFSET 0
    ) token
    WHERE CASE WHEN chain = ANY (%(evm_chains)s) THEN is_evm ELSE NOT is_other END
        AND chain <> ALL (%(uncounted)s)
)"""

_EVIDENCE: Final = """
spelling AS MATERIALIZED (
    SELECT * FROM unnest(%(names)s::text[], %(chains)s::text[]) AS spelling(name, chain)
), evidence AS (
    SELECT token.signal_id AS signal, token.overdue, token.chain, token.address, newest.*,
        newest.as_of_ts AS evidence
    FROM token
    <newest>
    OFFSET 0
)"""
_NEWEST: Final = newest_measurement("spelling.name", "token.address")
_OF_ONE_SPELLING: Final = f"""
LEFT JOIN spelling ON spelling.chain = token.chain LEFT JOIN LATERAL ({_NEWEST}) newest ON true
"""
_OF_SEVERAL_SPELLINGS: Final = f"""
LEFT JOIN LATERAL (
    SELECT f.*
    FROM spelling CROSS JOIN LATERAL ({_NEWEST}) f
    WHERE spelling.chain = token.chain
    ORDER BY f.as_of_ts DESC, f.id DESC
    LIMIT 1
) newest ON true
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
    SELECT signal, evidence, calc_version, decision, note, chain, address,
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

# What was not written. A signal that another session holds is left to the next run. The planner expects few
# rows, and would join them in a nested loop; IN looks them up in a hash table.
_REST: Final = f"""
rest AS (
    UPDATE signal_verifications v
    SET run = %(run)s,
        leased_until = CASE WHEN is_open THEN {NOW} + %(lease)s END,
        {RESCHEDULED}
    FROM (
        SELECT found.*, is_candidate AND NOT is_young AND NOT is_given AS is_open, is_given AS is_held
        FROM (SELECT *, signal_id IN (SELECT signal FROM given) AS is_given FROM found) found
        WHERE signal_id NOT IN (SELECT signal FROM held)
    ) rest
    WHERE v.signal_id = rest.signal_id
    RETURNING is_open, is_held, v.signal_id, rest.event_key, rest.token_ca, rest.overdue, v.checks, v.attempts
)
SELECT count(*), decision, outdated, updates, false, false, NULL::bigint, NULL, NULL, NULL, NULL, NULL
FROM written
GROUP BY decision, outdated, updates
UNION ALL
SELECT 1, NULL, NULL, NULL, * FROM rest
"""  # noqa: S608

_BEFORE_RULES: Final = (
    f"WITH due AS MATERIALIZED ({DUE}), {FOUND}, {_TOKENS}, {_EVIDENCE}, {_MEASURED}"
)
_AFTER_RULES: Final = f"{WRITTEN.replace('{is_claimed}', 'true')}, {_REST}"


def judge(run: Run, size: int) -> tuple[Batch, Counter[str]]:
    """Claim at most `size` due signals as claim() does, write the verdicts on most, and return the others.

    Return with them the counts of those that were judged. If the database refuses a row, nothing is judged,
    and all are returned.
    """
    try:
        with run.atomic():
            return _judge(run, size)
    except DatabaseError as error:
        if not is_row_error(error):
            raise
    return claim(run, size), Counter()


def _judge(run: Run, size: int) -> tuple[Batch, Counter[str]]:
    now = run.read_clock()
    sql, parameters = _with_rules(run)
    sql, more = _with_populations(run, sql)
    parameters |= {**more, **times_of_measurements(now), "size": size}
    rows = run.execute_by_index(sql, parameters)
    counts: Counter[str] = Counter()
    candidates = []
    for number, decision, outdated, updates, is_open, is_held, *candidate in rows:
        if is_open:
            candidates.append(Candidate(*candidate))
        elif decision and not outdated:
            counts.update({"scanned": number, "evaluated": number, "updated": number * updates})
            counts[COUNT_OF_DECISION[Decision(decision)]] += number
        elif decision or is_held:
            counts.update({"scanned": number, "skipped": number})
    return Batch(now, candidates, is_last=sum(row[0] for row in rows) < size), counts


def _with_rules(run: Run) -> tuple[str, dict[str, Any]]:
    """Return the statement for the rules of the run, and its parameters besides those of the evidence."""
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
        "is_on": run.settings.mode is Mode.ON,
        "only_since": None,
    }
    return f"{_BEFORE_RULES}, {judged}, {_AFTER_RULES}", parameters


def _with_populations(run: Run, sql: str) -> tuple[str, dict[str, Any]]:
    """Return the statement for the populations that are known so far, and the parameters of its evidence."""
    spellings = run.evidence.spellings(run.connection)
    populations = run.evidence.known_populations()
    pairs = [(name, chain) for chain, names in spellings.items() for name in names]
    parameters: dict[str, Any] = {
        "names": [name for name, _ in pairs],
        "chains": [chain for _, chain in pairs],
        "uncounted": sorted(spellings.keys() - populations.keys()),
    }
    newest = _OF_ONE_SPELLING if len(pairs) == len(spellings) else _OF_SEVERAL_SPELLINGS
    sql = sql.replace("<newest>", newest)
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
