"""Runs Django's tests twice, with Django's operations and with the convergent ones, and compares.

    python -m benchmarks.django_suite [LABEL …]

Labels are those of Django's runtests.py. Exit code 1: a test passes with Django's operations and
fails with the convergent ones, and not by design.
"""

import argparse
import json
import os
import subprocess
import sys
import tarfile
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import django

from benchmarks.django_suite.reasons import BY_DESIGN, DEFECT, reason

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / ".django_suite"
RUNS = ("unpatched", "patched")
# The packages of Django's tests that make or run migrations, or alter a schema.
LABELS = (
    *("apps", "auth_tests", "composite_pk", "constraints", "contenttypes_tests"),
    *("custom_migration_operations", "db_functions.migrations", "flatpages_tests", "indexes"),
    *("introspection", "migrate_signals", "migration_test_data_persistence", "migrations"),
    *("migrations2", "model_indexes", "model_options", "multiple_database", "postgres_tests"),
    *("proxy_model_inheritance", "redirects_tests", "schema", "sessions_tests"),
    *("sites_framework", "sites_tests", "swappable_models", "unmanaged_models"),
)


def sources() -> Path:
    """The tests of the installed Django, which are in its sdist alone; downloaded once."""
    name = f"django-{django.__version__}"
    if not (WORK / name / "tests").exists():
        WORK.mkdir(exist_ok=True)
        options = ("--quiet", "--no-deps", "--no-binary", ":all:", "--dest", str(WORK))
        pip = (sys.executable, "-m", "pip", "download", *options)
        subprocess.run([*pip, f"django=={django.__version__}"], check=True)  # noqa: S603 - pip
        with tarfile.open(WORK / f"{name}.tar.gz") as archive:
            archive.extractall(WORK, filter="data")
    return WORK / name / "tests"


def start(run: str, tests: Path, labels: list[str]) -> subprocess.Popen[bytes]:
    """Starts one run; its output goes to a log, each test's outcome to a file."""
    outcomes = WORK / f"{run}.json"
    outcomes.unlink(missing_ok=True)
    environment = {
        **os.environ,
        "DJANGO_SUITE_RUN": run,
        "DJANGO_SUITE_OUTCOMES": str(outcomes),
        "PYTHONPATH": str(ROOT),
    }
    options = ("--settings=benchmarks.django_suite.settings", "--parallel=1", "--noinput")
    command = (sys.executable, "-m", "benchmarks.django_suite.run", str(tests), *options, *labels)
    with (WORK / f"{run}.log").open("wb") as log:
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)  # noqa: S603 - ours


def read(run: str) -> Any:
    outcomes = WORK / f"{run}.json"
    if not outcomes.exists():
        sys.exit(f"the {run} run ended early (read {WORK.name}/{run}.log)")
    return json.loads(outcomes.read_text())


def compare(unpatched: Any, patched: Any) -> tuple[list[str], int]:
    """The report's lines, and how many tests are to be looked at."""
    before, after = (
        {test for test, failure in record["outcomes"].items() if not failure}
        for record in (unpatched, patched)
    )
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for test in sorted(before - after):
        groups[reason(test, patched["outcomes"].get(test))].append(test)
    counts = Counter({BY_DESIGN: 0, DEFECT: 0})
    lines = []
    for (kind, text), tests in sorted(
        groups.items(), key=lambda group: (group[0][0], -len(group[1]))
    ):
        counts[kind] += len(tests)
        lines += [f"{kind}: {text} ({len(tests)})", *(f"  {test}" for test in tests), ""]
    lines += [f"{count:6}  {use}" for use, count in sorted(patched["uses"].items())]
    lines += ["", f"{len(before):6,} tests pass unpatched, {len(before & after):,} of them patched"]
    lines += [f"{count:6,} fail {kind}" for kind, count in counts.items()]
    return lines, counts[DEFECT]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.django_suite")
    parser.add_argument("labels", nargs="*", default=LABELS, metavar="LABEL")
    labels = parser.parse_args().labels
    tests = sources()
    for process in [start(run, tests, labels) for run in RUNS]:
        process.wait()
    lines, defects = compare(*(read(run) for run in RUNS))
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if defects else 0


if __name__ == "__main__":
    sys.exit(main())
