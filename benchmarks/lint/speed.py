"""`python -m benchmarks.lint.speed`: how long lint_migrations takes in a project with 500 migrations.

Prints the median of the runs of the command, and of `help`, which starts Django and loads no migration: in
seconds of the processor, which are much the same whatever else the machine does, and by the clock.
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.lint.settings_file import SETTINGS, write_settings
from benchmarks.peers.server import ROOT

APPS, STEPS, RUNS = 20, 25, 7

_MIGRATION = """\
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = {dependencies}
    operations = [
{operations}    ]
"""
_MODEL = """\
        migrations.CreateModel("M{first}", [
            ("id", models.BigAutoField(primary_key=True)),
            *[(f"f{{i}}", models.CharField(max_length=50, null=True)) for i in range(15)],
        ]),
"""
_OPERATIONS = """\
        migrations.AddField("m{first}", "g{step}", models.IntegerField(null=True)),
        migrations.AlterField("m{first}", "f{field}", models.CharField(max_length=80, null=True)),
        migrations.AddIndex("m{first}", models.Index(fields=["g{step}"], name="{app}_{step}")),
        migrations.RunSQL("UPDATE {app}_m{first} SET g{step} = {step} WHERE id < 100", ""),
"""


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        write_large_project(Path(folder))
        lint, lint_clock = _medians(Path(folder), "lint_migrations")
        start, start_clock = _medians(Path(folder), "help", "--commands")
    whole, own = f"{lint:.2f} s ({lint_clock:.2f} s)", f"{start:.2f} s ({start_clock:.2f} s)"
    sys.stdout.write(
        f"{APPS * STEPS} migrations: lint_migrations {whole}, of which Django's start is {own}; seconds of "
        f"the processor (by the clock), medians of {RUNS} runs\n"
    )
    return 0


def _medians(folder: Path, *words: str) -> tuple[float, float]:
    """Return the seconds of the processor and by the clock; the first run, which compiles, is left out."""
    runs = [_seconds(folder, *words) for _ in range(RUNS + 1)][1:]
    processor, clock = zip(*runs, strict=True)
    return statistics.median(processor), statistics.median(clock)


def write_large_project(folder: Path) -> None:
    """Write migrations each of which has four operations or more, on a hundred models of 20 fields."""
    labels = [f"app{number:02}" for number in range(APPS)]
    write_settings(folder, labels)
    for app in labels:
        migrations = folder / app / "migrations"
        migrations.mkdir(parents=True)
        for each in (migrations, migrations.parent):
            (each / "__init__.py").touch()
        for step in range(STEPS):
            first = step - step % 5
            values = {"app": app, "step": step, "first": first, "field": step % 15}
            text = _OPERATIONS.format(**values)
            operations = text if step != first else _MODEL.format(**values) + text
            before = [(app, f"{step:04}_step")] if step else []
            source = _MIGRATION.format(dependencies=before, operations=operations)
            (migrations / f"{step + 1:04}_step.py").write_text(source)


def _seconds(folder: Path, *words: str) -> tuple[float, float]:
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": SETTINGS,
        "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)]),
        "LINT_APP": "signals.operations",
    }
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(  # noqa: S603 - this repository's own command
        [sys.executable, "-m", "django", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        check=False,
    )
    clock, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in (0, 1):
        raise RuntimeError(done.stderr.decode())
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, clock


if __name__ == "__main__":
    sys.exit(main())
