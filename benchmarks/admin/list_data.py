"""As many rows in each table, with values of every frequency, and the addresses of lists that are tried."""

TABLES = (
    *("events", "signals", "signal_events", "signal_verifications", "onchain_features"),
    "verification_rules",
)
# Of each kind there is a value that nearly all rows have, one of three rows in the middle of time, one that
# only the oldest tenth has, and one that no row has.
KIND = """CASE WHEN n IN (%(rows)s / 2, %(rows)s / 2 + 50, %(rows)s / 2 + 99) THEN 'rare'
    WHEN n < %(rows)s / 10 AND n %% 2 = 0 THEN 'old' ELSE 'common' END"""
GIVEN = f"""(
    SELECT n, kind, now() - (%(rows)s - n) * interval '10 seconds' AS at,
        '0x' || lpad(to_hex(n %% 20000), 40, '0') AS address
    FROM (SELECT n, {KIND} AS kind FROM generate_series(1, %(rows)s) n) kinds
) given"""  # noqa: S608 - our own constants
FILL = (
    """INSERT INTO verification_rules (sha256, text)
    SELECT repeat(n::text, 64), '' FROM generate_series(1, 4) n""",
    f"""INSERT INTO events (event_key, type, refine_ok, start_ts, last_ts)
    SELECT 'ethereum:' || address || ':' || n, kind, CASE kind WHEN 'common' THEN true
        WHEN 'old' THEN false END, at, at FROM {GIVEN}""",  # noqa: S608 - our own constants
    f"""INSERT INTO signals (event_key, state, goplus_risk, market_type, source_level,
        onchain_confidence, created_at, ts)
    SELECT 'ethereum:' || address || ':' || n,
        CASE kind WHEN 'common' THEN 'candidate' WHEN 'old' THEN 'downgraded' ELSE 'verified' END,
        CASE kind WHEN 'common' THEN 'green' WHEN 'old' THEN 'yellow' ELSE 'red'
            END::goplus_risk_enum,
        kind, kind, CASE kind WHEN 'common' THEN 0.5 WHEN 'old' THEN 0.7 ELSE 1 END, at, at
    FROM {GIVEN} ORDER BY n""",  # noqa: S608 - our own constants
    f"""INSERT INTO signal_events (signal_id, event_key, previous_state, new_state, decision, note,
        confidence, rules_sha256, run, created_at, type)
    SELECT n, 'ethereum:' || address || ':' || n, 'candidate',
        CASE kind WHEN 'common' THEN 'candidate' WHEN 'old' THEN 'downgraded' ELSE 'verified' END,
        CASE kind WHEN 'common' THEN 'insufficient' WHEN 'old' THEN 'downgrade' ELSE 'upgrade' END,
        CASE kind WHEN 'common' THEN 'insufficient_evidence' ELSE '' END, 0.5, repeat('e', 64),
        md5((n / 1000)::text)::uuid, at, 'onchain_verify'
    FROM {GIVEN} ORDER BY n""",  # noqa: S608 - our own constants
    f"""INSERT INTO signal_verifications (signal_id, status, outcome, decision, note, updated_at,
        next_check_at, checks, rules_id, as_of, margin)
    SELECT n, CASE kind WHEN 'common' THEN 'waiting' WHEN 'old' THEN 'settled' ELSE 'dead' END,
        'evaluated',
        CASE kind WHEN 'common' THEN 'insufficient' WHEN 'old' THEN 'downgrade' ELSE 'hold' END,
        CASE kind WHEN 'common' THEN 'insufficient_evidence' ELSE '' END, at,
        CASE kind WHEN 'common' THEN at + interval '1 day' END, 1,
        CASE kind WHEN 'common' THEN 1 WHEN 'old' THEN 2 ELSE 3 END, at,
        CASE kind WHEN 'common' THEN -0.3 WHEN 'old' THEN 0.1 ELSE 0.9 END + n / 1e9
    FROM {GIVEN} ORDER BY n""",  # noqa: S608 - our own constants
    f"""INSERT INTO onchain_features (chain, address, as_of_ts, window_minutes, created_at)
    SELECT CASE kind WHEN 'common' THEN 'ethereum' WHEN 'old' THEN 'bsc' ELSE 'solana' END,
        address, at, CASE kind WHEN 'common' THEN 60 ELSE 30 END, at
    FROM {GIVEN} ORDER BY n""",  # noqa: S608 - our own constants
)
