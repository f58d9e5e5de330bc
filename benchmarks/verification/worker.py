"""`python -m benchmarks.verification.worker WORKERS`: one run over all that is due, in this process.

Prints its seconds, its peak of memory and its counts as one JSON object.
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

from signals.verification.job import Options, run_job  # noqa: E402 - after the setup

start = time.monotonic()
report = run_job(Options(limit=None, workers=int(sys.argv[1])))
took = time.monotonic() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
json.dump({"seconds": took, "peak_mib": peak, **report.counts}, sys.stdout)
