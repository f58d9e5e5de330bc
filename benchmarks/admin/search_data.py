"""As many events, signals, verdicts, verifications and features, with symbols of every frequency."""

HOT, OLD, RARE, ABSENT = "HOT", "OLD", "RARE", "NONE"
"""6 in 100 events, all along and only among the oldest tenth; three events; no event."""

HOT_ADDRESS = "0x" + "a" * 40
OLD_ADDRESS = "0x" + "b" * 40
RARE_ADDRESS = "0x" + "c" * 40
ABSENT_ADDRESS = "0x" + "d" * 40
HOT_TOPIC, OLD_TOPIC, RARE_TOPIC, ABSENT_TOPIC = "t.hot", "t.old", "t.rare", "t.none"
OLD_RUN, NEW_RUN = (
    "00000000-0000-4000-8000-000000000001",
    "00000000-0000-4000-8000-000000000002",
)

FILL = (
    f"""
    INSERT INTO events (event_key, symbol, token_ca, topic_hash, type, summary, start_ts, last_ts)
    SELECT
        CASE kind WHEN 'rare' THEN 'solana' ELSE 'ethereum' END || ':' || address || ':' || n,
        CASE kind WHEN 'hot' THEN '{HOT}' WHEN 'old' THEN '{OLD}' WHEN 'rare' THEN '{RARE}'
            ELSE 'S' || n %% 20000 END,
        CASE WHEN n %% 2 = 0 THEN address END,
        CASE kind WHEN 'hot' THEN '{HOT_TOPIC}' WHEN 'old' THEN '{OLD_TOPIC}'
            WHEN 'rare' THEN '{RARE_TOPIC}' ELSE 't.' || n %% 20000 END,
        'listing', repeat('about a token ', 10),
        now() - (%(rows)s - n) * interval '2 seconds', now() - (%(rows)s - n) * interval '1 second'
    FROM (
        SELECT n, kind, CASE kind
            WHEN 'hot' THEN '{HOT_ADDRESS}' WHEN 'old' THEN '{OLD_ADDRESS}'
            WHEN 'rare' THEN '{RARE_ADDRESS}' ELSE '0x' || lpad(to_hex(n %% 20000), 40, '0') END
            AS address
        FROM (
            SELECT n, CASE
                WHEN n IN (10, %(rows)s / 2, %(rows)s - 10) THEN 'rare'
                WHEN n %% 100 < 6 THEN 'hot'
                WHEN n < %(rows)s / 10 AND n %% 100 < 66 THEN 'old'
                ELSE 'other' END AS kind
            FROM generate_series(1, %(rows)s) n
        ) kinds
    ) tokens
    """,  # noqa: S608 - our own constants
    """
    INSERT INTO signals (event_key, market_type, topic_id, state, created_at, ts)
    SELECT event_key, 'spot', topic_hash,
        CASE WHEN random() < 0.05 THEN 'verified' ELSE 'candidate' END, last_ts, last_ts
    FROM events ORDER BY last_ts
    """,
    f"""
    INSERT INTO signal_events (signal_id, event_key, previous_state, new_state, decision, confidence,
        rules_sha256, run, created_at)
    SELECT id, event_key, 'candidate', 'candidate', 'hold', 0.5, repeat('e', 64),
        CASE WHEN id <= %(rows)s / 20 THEN '{OLD_RUN}'::uuid WHEN id > %(rows)s * 0.95
            THEN '{NEW_RUN}'::uuid ELSE md5((id / 1000)::text)::uuid END, created_at
    FROM signals ORDER BY id
    """,  # noqa: S608 - our own constants
    """
    INSERT INTO signal_verifications (signal_id, status, outcome, updated_at)
    SELECT id, 'settled', 'evaluated', created_at FROM signals ORDER BY id
    """,
    f"""
    INSERT INTO onchain_features (chain, address, as_of_ts, window_minutes, addr_active)
    SELECT 'ethereum', CASE WHEN n %% 100 < 6 THEN '{HOT_ADDRESS}'
            WHEN n < %(rows)s / 10 AND n %% 100 < 66 THEN '{OLD_ADDRESS}'
            ELSE '0x' || lpad(to_hex(n %% 20000), 40, '0') END,
        now() - (%(rows)s - n) * interval '1 second', 60, n
    FROM generate_series(1, %(rows)s) n
    """,  # noqa: S608 - our own constants
)
"""Statements that fill empty tables; to be vacuumed and analyzed after."""

TABLES = ("events", "signals", "signal_events", "signal_verifications", "onchain_features")
