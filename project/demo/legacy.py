"""The legacy database of the signals platform, at every revision that its Alembic history had.

`build` makes the tables, `fill` the rows (the same for the same seed), `fingerprint` tells whether
rows are still what they were. Names are unqualified: everything lands in the connection's current
schema. The transaction is the caller's: nothing here commits.
"""

from typing import Any

from project.demo.rows import COLUMNS, fill

__all__ = ["REVISIONS", "build", "fill", "fingerprint"]

REVISIONS: dict[str, tuple[str, ...]] = {
    "001": (
        """
        CREATE TABLE raw_posts (
            id BIGSERIAL NOT NULL,
            source TEXT NOT NULL,
            author TEXT,
            text TEXT NOT NULL,
            ts TIMESTAMP WITH TIME ZONE NOT NULL,
            urls JSONB DEFAULT '[]'::jsonb,
            token_ca TEXT,
            symbol TEXT,
            is_candidate BOOLEAN DEFAULT false,
            sentiment_label TEXT,
            sentiment_score DOUBLE PRECISION,
            keywords TEXT[],
            PRIMARY KEY (id)
        )
        """,
        "CREATE INDEX ix_raw_posts_ts ON raw_posts (ts)",
        """
        CREATE TABLE events (
            event_key TEXT NOT NULL,
            type TEXT,
            summary TEXT,
            evidence JSONB DEFAULT '[]'::jsonb,
            impacted_assets TEXT[],
            start_ts TIMESTAMP WITH TIME ZONE NOT NULL,
            last_ts TIMESTAMP WITH TIME ZONE NOT NULL,
            heat_10m INTEGER DEFAULT 0,
            heat_30m INTEGER DEFAULT 0,
            PRIMARY KEY (event_key)
        )
        """,
        """
        CREATE TABLE signals (
            id BIGSERIAL NOT NULL,
            event_key TEXT,
            market_type TEXT,
            advice_tag TEXT,
            confidence INTEGER,
            goplus_risk TEXT,
            goplus_tax DOUBLE PRECISION,
            lp_lock_days INTEGER,
            dex_liquidity DOUBLE PRECISION,
            dex_volume_1h DOUBLE PRECISION,
            ts TIMESTAMP WITH TIME ZONE DEFAULT now(),
            PRIMARY KEY (id),
            FOREIGN KEY (event_key) REFERENCES events (event_key) ON DELETE CASCADE
        )
        """,
        "CREATE INDEX ix_signals_event_key_ts ON signals (event_key, ts DESC)",
    ),
    "002": ("ALTER TABLE events ADD COLUMN score DOUBLE PRECISION DEFAULT 0 NOT NULL",),
    "003": (
        "ALTER TABLE events ADD COLUMN symbol TEXT",
        "ALTER TABLE events ADD COLUMN token_ca TEXT",
        "ALTER TABLE events ADD COLUMN topic_hash TEXT",
        "ALTER TABLE events ADD COLUMN time_bucket_start TIMESTAMP WITH TIME ZONE",
        "ALTER TABLE events ADD COLUMN evidence_count INTEGER DEFAULT 0 NOT NULL",
        "ALTER TABLE events ADD COLUMN candidate_score DOUBLE PRECISION DEFAULT 0 NOT NULL",
        "ALTER TABLE events ADD COLUMN keywords_norm JSONB",
        "ALTER TABLE events ADD COLUMN version TEXT DEFAULT 'v1' NOT NULL",
        "ALTER TABLE events ADD COLUMN last_sentiment TEXT",
        "ALTER TABLE events ADD COLUMN last_sentiment_score DOUBLE PRECISION",
        "CREATE INDEX idx_events_last_ts ON events (last_ts DESC)",
        "CREATE INDEX idx_events_symbol_bucket ON events (symbol, time_bucket_start)",
    ),
    "004": (
        "ALTER TABLE events ADD COLUMN refined_type TEXT",
        "ALTER TABLE events ADD COLUMN refined_summary TEXT",
        "ALTER TABLE events ADD COLUMN refined_impacted_assets TEXT[] DEFAULT '{}'",
        "ALTER TABLE events ADD COLUMN refined_reasons TEXT[] DEFAULT '{}'",
        "ALTER TABLE events ADD COLUMN refined_confidence DOUBLE PRECISION",
        "ALTER TABLE events ADD COLUMN refine_backend TEXT",
        "ALTER TABLE events ADD COLUMN refine_latency_ms INTEGER",
        "ALTER TABLE events ADD COLUMN refine_ok BOOLEAN",
        "ALTER TABLE events ADD COLUMN refine_error TEXT",
        "ALTER TABLE events ADD COLUMN refine_ts TIMESTAMP WITH TIME ZONE DEFAULT now()",
        "CREATE INDEX idx_events_refine_ok ON events (refine_ok)",
        "CREATE INDEX idx_events_refine_ts ON events (refine_ts)",
    ),
    "005": (
        """
        CREATE TABLE goplus_cache (
            id SERIAL NOT NULL,
            endpoint VARCHAR(100) NOT NULL,
            chain_id VARCHAR(20),
            key VARCHAR(100) NOT NULL,
            payload_hash VARCHAR(64),
            resp_json JSON NOT NULL,
            status VARCHAR(20) NOT NULL,
            fetched_at TIMESTAMP WITH TIME ZONE DEFAULT CURRENT_TIMESTAMP NOT NULL,
            expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
            created_at TIMESTAMP WITH TIME ZONE DEFAULT CURRENT_TIMESTAMP NOT NULL,
            updated_at TIMESTAMP WITH TIME ZONE DEFAULT CURRENT_TIMESTAMP NOT NULL,
            PRIMARY KEY (id)
        )
        """,
        "CREATE INDEX idx_goplus_cache_lookup ON goplus_cache (endpoint, chain_id, key)",
        "CREATE INDEX idx_goplus_cache_expires ON goplus_cache (expires_at)",
    ),
    "006": (
        "CREATE TYPE goplus_risk_enum AS ENUM ('red', 'yellow', 'green', 'unknown')",
        """
        ALTER TABLE signals ALTER COLUMN goplus_risk
            TYPE goplus_risk_enum USING goplus_risk::goplus_risk_enum
        """,
        "ALTER TABLE signals ADD COLUMN buy_tax DOUBLE PRECISION",
        "ALTER TABLE signals ADD COLUMN sell_tax DOUBLE PRECISION",
        "ALTER TABLE signals ADD COLUMN honeypot BOOLEAN",
        "CREATE INDEX idx_signals_goplus_risk ON signals (goplus_risk)",
    ),
    "007": (
        "ALTER TABLE events ADD COLUMN topic_entities VARCHAR[]",
        "ALTER TABLE events ADD COLUMN evidence_refs JSON",
        "ALTER TABLE signals ADD COLUMN topic_id VARCHAR(20)",
        "ALTER TABLE signals ADD COLUMN topic_entities VARCHAR[]",
        "ALTER TABLE signals ADD COLUMN topic_keywords VARCHAR[]",
        "ALTER TABLE signals ADD COLUMN topic_slope_10m DOUBLE PRECISION",
        "ALTER TABLE signals ADD COLUMN topic_slope_30m DOUBLE PRECISION",
        "ALTER TABLE signals ADD COLUMN topic_mention_count INTEGER",
        "ALTER TABLE signals ADD COLUMN topic_confidence DOUBLE PRECISION",
        "ALTER TABLE signals ADD COLUMN topic_merge_mode VARCHAR(20)",
        "ALTER TABLE signals ADD COLUMN topic_sources VARCHAR[]",
        "ALTER TABLE signals ADD COLUMN topic_evidence_links VARCHAR[]",
        "CREATE INDEX idx_events_topic_hash ON events (topic_hash)",
        "CREATE INDEX idx_events_topic_last_ts ON events (topic_hash, last_ts)",
        "CREATE INDEX idx_signals_topic_id ON signals (topic_id)",
    ),
    "008": (
        # ADD VALUE in other words: before PostgreSQL 17 its value could not be used in this transaction.
        "ALTER TYPE goplus_risk_enum RENAME TO goplus_risk_enum_007",
        "CREATE TYPE goplus_risk_enum AS ENUM ('red', 'yellow', 'green', 'unknown', 'gray')",
        """
        ALTER TABLE signals ALTER COLUMN goplus_risk TYPE goplus_risk_enum
            USING goplus_risk::text::goplus_risk_enum
        """,
        "DROP TYPE goplus_risk_enum_007",
        "ALTER TABLE signals ADD COLUMN source_level TEXT",
        "ALTER TABLE signals ADD COLUMN features_snapshot JSONB",
    ),
    "009": ("ALTER TABLE signals ADD COLUMN heat_slope DOUBLE PRECISION",),
    "010": (
        """
        CREATE TABLE onchain_features (
            id BIGSERIAL NOT NULL,
            chain TEXT NOT NULL,
            address TEXT NOT NULL,
            as_of_ts TIMESTAMP WITH TIME ZONE NOT NULL,
            window_minutes INTEGER NOT NULL,
            addr_active INTEGER,
            tx_count INTEGER,
            growth_ratio NUMERIC,
            top10_share NUMERIC,
            self_loop_ratio NUMERIC,
            calc_version INTEGER DEFAULT 1 NOT NULL,
            created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            PRIMARY KEY (id),
            UNIQUE (chain, address, as_of_ts, window_minutes),
            CONSTRAINT check_window_minutes CHECK (window_minutes IN (30, 60, 180))
        )
        """,
        """
        CREATE INDEX idx_onf_lookup
            ON onchain_features (chain, address, window_minutes, as_of_ts)
        """,
        "ALTER TABLE signals ADD COLUMN onchain_asof_ts TIMESTAMP WITH TIME ZONE",
        "ALTER TABLE signals ADD COLUMN onchain_confidence INTEGER",
    ),
    "011": (
        """
        ALTER TABLE signals ALTER COLUMN onchain_confidence
            TYPE NUMERIC(4, 3) USING onchain_confidence::numeric(4, 3)
        """,
    ),
    "012": (
        "ALTER TABLE signals ADD COLUMN state TEXT DEFAULT 'candidate' NOT NULL",
        """
        ALTER TABLE signals ADD CONSTRAINT signals_state_check
            CHECK (state IN ('candidate', 'verified', 'downgraded'))
        """,
        "CREATE INDEX idx_signals_state_onlystate ON signals (state)",
    ),
}


def build(target: Any, revision: str) -> None:
    """Make the tables of a legacy database at `revision` ("001" to "012"), without rows.

    `target` is a connection or a cursor, psycopg's or Django's, whose current schema has none of
    these tables. Raises ValueError for an unknown revision, before anything is made.
    """
    if revision not in REVISIONS:
        raise ValueError(f"there is no revision {revision!r} (use 001 to {max(REVISIONS)})")
    cursor = target if hasattr(target, "fetchone") else target.cursor()
    cursor.execute(
        "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
        "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
    )
    for name, steps in REVISIONS.items():
        if name <= revision:
            for step in steps:
                cursor.execute(step)
    cursor.execute("INSERT INTO alembic_version (version_num) VALUES (%s)", [revision])


def fingerprint(target: Any, revision: str) -> dict[str, tuple[int, str]]:
    """Rows and checksum of each table of `revision`, over the columns that it had then.

    Equal before and after a migration when no row was lost, added or changed. A type may change as
    the history changed it: a risk from text to the enum, a confidence from int to numeric.
    """
    cursor = target if hasattr(target, "fetchone") else target.cursor()
    found = {}
    for table, columns in COLUMNS.items():
        names = [name for since, new in columns.items() if since <= revision for name in new]
        if not names:
            continue
        if table != "events":
            names.append("id")
        cursor.execute(
            "SELECT attname FROM pg_catalog.pg_attribute WHERE attrelid = to_regclass(%s)"
            " AND atttypid = 'pg_catalog.timestamptz'::regtype AND attnum > 0",
            [table],
        )
        moments = {name for (name,) in cursor.fetchall()}
        values = ", ".join(_as_text(name, moment=name in moments) for name in names)
        checksum = f"coalesce(sum(pg_catalog.hashtextextended(ROW({values})::text, 0)), 0)"
        cursor.execute(f"SELECT count(*), {checksum}::text FROM {table}")  # noqa: S608 - names of COLUMNS
        found[table] = cursor.fetchone()
    return found


def _as_text(name: str, *, moment: bool) -> str:
    if name == "onchain_confidence":
        return f"{name}::numeric(4, 3)"
    return f"{name} AT TIME ZONE 'UTC'" if moment else f"{name}::text"
