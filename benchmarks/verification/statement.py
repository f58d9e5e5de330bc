"""The same verdicts and writes in one SQL statement, for all signals or for one."""

from signals.verification.rules_file import SHIPPED_RULES, load_rules

RULES = load_rules(SHIPPED_RULES)

# The shipped rules by hand, for tokens whose addresses and chains need no folding and calc_version 2.
WRITE = """
WITH counted AS (
    SELECT chain, addr_active, count(*) AS equal
    FROM onchain_features
    WHERE window_minutes = 60 AND addr_active IS NOT NULL
        AND as_of_ts BETWEEN now() - interval '7 days' AND now() + interval '2 minutes'
    GROUP BY chain, addr_active
), ranked AS (
    SELECT chain, addr_active,
        (2 * (sum(equal) OVER (PARTITION BY chain ORDER BY addr_active) - equal) + equal)
            / (2.0 * sum(equal) OVER (PARTITION BY chain)) AS pctl
    FROM counted
), judged AS (
    SELECT s.id, s.event_key, split_part(s.event_key, ':', 1) AS chain, e.token_ca AS address, f.as_of_ts,
        jsonb_build_object('active_addr_pctl', r.pctl, 'growth_ratio', f.growth_ratio,
            'top10_share', f.top10_share, 'self_loop_ratio', f.self_loop_ratio) AS features,
        CASE
            WHEN f.as_of_ts IS NULL THEN 'insufficient_evidence'
            WHEN f.as_of_ts < now() - interval '90 minutes' THEN 'feature_stale'
            WHEN r.pctl IS NULL OR f.growth_ratio IS NULL OR f.top10_share IS NULL
                OR f.self_loop_ratio IS NULL THEN 'feature_missing'
            ELSE ''
        END AS note,
        f.top10_share >= 0.70 AND f.self_loop_ratio >= 0.20 AS is_bad,
        r.pctl >= 0.95 AND f.growth_ratio >= 2.0 AS is_good
    FROM signals s
    JOIN events e ON e.event_key = s.event_key
    LEFT JOIN LATERAL (
        SELECT * FROM onchain_features f
        WHERE f.chain = split_part(s.event_key, ':', 1) AND f.address = e.token_ca
            AND f.window_minutes = 60
        ORDER BY f.as_of_ts DESC LIMIT 1
    ) f ON true
    LEFT JOIN {ranked} r ON r.chain = f.chain AND r.addr_active = f.addr_active
    WHERE s.state = 'candidate' AND s.created_at <= now() - interval '3 minutes' {only}
), decided AS (
    SELECT *, CASE WHEN note <> '' THEN 'insufficient' WHEN is_bad THEN 'downgrade'
            WHEN is_good THEN 'upgrade' ELSE 'hold' END AS decision,
        CASE WHEN note <> '' THEN 'candidate' WHEN is_bad THEN 'downgraded'
            WHEN is_good THEN 'verified' ELSE 'candidate' END AS state,
        CASE WHEN note <> '' THEN 0 WHEN is_bad OR is_good THEN 1 ELSE 0.5 END AS confidence
    FROM judged
), updated AS (
    UPDATE signals s
    SET state = d.state, onchain_asof_ts = d.as_of_ts, onchain_confidence = d.confidence
    FROM decided d WHERE d.id = s.id AND d.note = ''
), added AS (
    INSERT INTO signal_events (signal_id, event_key, previous_state, new_state, decision, confidence,
        note, features, rules_sha256, run, metadata)
    SELECT id, event_key, 'candidate', state, decision, confidence, note, features, %(sha256)s,
        %(run)s, jsonb_build_object('mode', 'on', 'named', '[]'::jsonb, 'chain', chain,
            'address', address, 'window_minutes', 60, 'as_of', as_of_ts, 'calc_version', 2)
    FROM decided
)
INSERT INTO signal_verifications (signal_id, status, next_check_at, checks, outcome, decision, note,
    chain, address, as_of, rules_id)
SELECT id, CASE WHEN state = 'candidate' THEN 'waiting' ELSE 'settled' END,
    CASE WHEN state = 'candidate' THEN now() + interval '15 minutes' END, 1, 'evaluated', decision,
    note, chain, address, as_of_ts, 1
FROM decided
"""
AT_ONCE = WRITE.replace("{ranked}", "ranked").replace("{only}", "")
# A loop would not rank a chain for each row: it looks its percentiles up in a table made before.
RANKS = """
CREATE TABLE ranks AS
SELECT chain, addr_active,
    (2 * (sum(n) OVER (PARTITION BY chain ORDER BY addr_active) - n) + n)
        / (2.0 * sum(n) OVER (PARTITION BY chain)) AS pctl
FROM (SELECT chain, addr_active, count(*) AS n FROM onchain_features GROUP BY 1, 2) counted;
ALTER TABLE ranks ADD PRIMARY KEY (chain, addr_active)
"""
ONE_ROW = "WITH judged" + WRITE.partition("), judged")[2].replace("{ranked}", "ranks").replace(
    "{only}", "AND s.id = %(id)s"
)
