"""Insert and update signals until stdin ends, then print how many statements there were.

`python -m tests.operations.execution.write_signals URL` prints their number and the seconds of the longest.
A statement that fails ends it with an error.
"""

import random
import select
import sys
import time

import psycopg

INSERT = "INSERT INTO signals (market_type, ts) VALUES ('dex', now()) RETURNING id"
UPDATE = "UPDATE signals SET confidence = 7, topic_mention_count = 1 WHERE id = %s"

longest, count = 0.0, 0
with psycopg.connect(sys.argv[1], autocommit=True, application_name="writer") as session:
    ((last,),) = session.execute(INSERT).fetchall()
    while not select.select([sys.stdin], [], [], 0.001)[0]:
        start = time.monotonic()
        session.execute(INSERT)
        between = time.monotonic()
        session.execute(UPDATE, [random.randint(1, last)])  # noqa: S311 - any row
        longest = max(longest, between - start, time.monotonic() - between)
        count += 2
sys.stdout.write(f"{count} {longest:.3f}\n")
