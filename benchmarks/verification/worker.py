"""`python -m benchmarks.verification.worker WORKERS`: one run over all that is due, in this process.

Prints its seconds, its peak of memory and its counts as one JSON object, and with one worker the processor
time of this process and its session.
"""

import json
import os
import resource
import sys
import time

import django
import django.conf

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
django.setup()
django.conf.settings.DEBUG = False  # with which Django keeps the text of each statement

from django.db import connection  # noqa: E402 - after the setup

from benchmarks.verification.processor import seconds_of, seconds_since  # noqa: E402 - the same
from signals.verification.job import Options, run_job  # noqa: E402 - the same

workers = int(sys.argv[1])
with connection.cursor() as cursor:
    cursor.execute("SELECT pg_backend_pid()")
    pid = int(cursor.fetchone()[0])
start, own, server = time.monotonic(), time.process_time(), seconds_of(pid)
report = run_job(Options(limit=None, workers=workers))
took = time.monotonic() - start
server = seconds_since(server, pid)
used = None if server is None or workers > 1 else server + time.process_time() - own
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
json.dump({"seconds": took, "used": used, "peak_mib": peak, **report.counts}, sys.stdout)
