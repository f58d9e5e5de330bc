"""A migrated database with so many candidates, and as many features, of which some are of each verdict."""

import os
import subprocess
import sys
from urllib.parse import quote, urlencode

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from benchmarks.peers.server import ROOT, Server

CHAINS = ("ethereum", "bsc", "polygon", "base", "arbitrum")
# Of ten tokens one is upgraded and one downgraded, six are held, one is stale and one lacks a feature.
FILL = (
    "SELECT setseed(0.5)",
    """
    INSERT INTO events (event_key, token_ca, symbol, summary, start_ts, last_ts)
    SELECT chain || ':' || address || ':' || n, address, 'T' || n, repeat('about a token ', 10),
        now() - interval '1 hour', now()
    FROM (
        SELECT n, '0x' || lpad(to_hex(n), 40, '0') AS address,
            (%(chains)s::text[])[1 + n %% %(count)s] AS chain
        FROM generate_series(1, %(rows)s) n
    ) token
    """,
    """
    INSERT INTO signals (event_key, market_type, advice_tag, confidence, created_at, ts)
    SELECT event_key, 'spot', 'watch', 50, now() - interval '1 hour' + random() * interval '30 minutes',
        now()
    FROM events ORDER BY random()
    """,
    """
    INSERT INTO onchain_features (chain, address, as_of_ts, window_minutes, addr_active, tx_count,
        growth_ratio, top10_share, self_loop_ratio, calc_version)
    SELECT (%(chains)s::text[])[1 + n %% %(count)s], '0x' || lpad(to_hex(n), 40, '0'),
        now() - CASE WHEN n / 7 %% 10 = 2 THEN interval '3 hours' ELSE interval '5 minutes' END,
        60, CASE WHEN n / 7 %% 10 = 0 THEN 9000 ELSE (random() * 5000)::integer END, 100,
        CASE WHEN n / 7 %% 10 = 0 THEN 2.5 ELSE round(random()::numeric, 4) END,
        CASE n / 7 %% 10 WHEN 1 THEN 0.9 WHEN 3 THEN NULL ELSE round(random()::numeric / 2, 4) END,
        CASE WHEN n / 7 %% 10 = 1 THEN 0.5 ELSE round(random()::numeric / 10, 4) END, 2
    FROM generate_series(1, %(rows)s) n
    """,
)


def make_template(server: Server, name: str, rows: int) -> str:
    """Make a database of that name, and return its address."""
    address = make_conninfo(server.conninfo, dbname=name)
    with psycopg.connect(server.conninfo, autocommit=True) as session:
        session.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name))
        )
    migrate = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
    subprocess.run(migrate, cwd=ROOT, env=environment(address), check=True)  # noqa: S603 - our own
    with psycopg.connect(address, autocommit=True) as session:
        for statement in FILL:
            values = {"rows": rows, "chains": list(CHAINS), "count": len(CHAINS)}
            session.execute(statement.encode(), values if "%" in statement else None)
        session.execute("VACUUM ANALYZE")
        session.execute("CHECKPOINT")
    return address


def environment(address: str) -> dict[str, str]:
    """Return the variables of a process of manage.py on that database, with the rules on."""
    options = conninfo_to_dict(address)
    name = options.pop("dbname")
    query = urlencode(options, quote_via=quote)
    plain = {key: value for key, value in os.environ.items() if not key.startswith("ONCHAIN_")}
    return {
        **plain,
        "DATABASE_URL": f"postgresql:///{name}?{query}",
        "DEBUG": "on",
        "ONCHAIN_RULES": "on",
    }
