"""`python -m benchmarks.stalls.changes [--hold 8] [--rounds 3] [--json]`: stock operations under `migrate`.

One migration with one stock operation, run by the `migrate` of Django, of this library and of tools for
rollouts, while the transaction of a reader holds the table.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import psycopg

from benchmarks import markdown
from benchmarks.peers.server import Database, Server
from benchmarks.rollout.project import SETTINGS
from benchmarks.rollout.tools import DEFERRED, DJANGO, OURS, SYZYGY, Tool, made_with, versions
from benchmarks.stalls.measure import BETWEEN_SECONDS, Client, running

CHANGES = {
    "RunSQL": 'migrations.RunSQL("ALTER TABLE depot_part ADD COLUMN extra integer")',
    "RenameField": 'migrations.RenameField("Part", "label", "title")',
    "AlterField": 'migrations.AlterField("Part", "label", models.CharField(max_length=90, null=True))',
    "DeleteModel": 'migrations.DeleteModel("Part")',
}
WAYS = (DJANGO, OURS, DEFERRED, SYZYGY)
_SETTINGS = """
import os
from project.environment import database_from_url

SECRET_KEY = "depot"
USE_TZ = True
INSTALLED_APPS = [*os.environ["ROLLOUT_APPS"].split(), "depot"]
DATABASES = {"default": database_from_url(os.environ["DATABASE_URL"])}
"""
_WORDS = {DEFERRED: DEFERRED.before}  # it has no `migrate` for people
MIGRATION = """
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = %s
    dependencies = %s
    operations = [%s]
    # django-deferred-migrations refuses these otherwise.
    deploy_safety_allowed = {"E002": "to be timed", "E005": "to be timed"}
"""
TABLE = """migrations.CreateModel("Part", [
    ("id", models.BigAutoField(primary_key=True)),
    ("label", models.CharField(max_length=9, null=True)),
    ("amount", models.IntegerField()),
])"""
ROWS = "INSERT INTO depot_part (label, amount) SELECT 'pin', n FROM generate_series(1, 20000) n"
READ = "SELECT amount FROM depot_part WHERE id = 7"
WRITE = "INSERT INTO depot_part (amount) VALUES (13)"


@dataclass(frozen=True, slots=True)
class Sample:
    """The longest wait of the writer and of the reader for one statement, and the run's time, in seconds.

    error: what the run printed if it failed.
    """

    writer: float
    reader: float
    took: float
    error: str


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.stalls.changes", description=__doc__
    )
    parser.add_argument("--hold", type=float, default=8.0, help="seconds that the reader holds")
    parser.add_argument("--rounds", type=int, default=3, help="the numbers are medians of them")
    parser.add_argument("--json", action="store_true", help="every round, and the errors")
    options = parser.parse_args(arguments)
    server, known = Server.find(), versions()
    ways = [way for way in WAYS if not way.package or way.package in known]
    if missing := [way.name for way in WAYS if way not in ways]:
        sys.stderr.write(f"not installed: {', '.join(missing)} (run make rollout)\n")
    samples = rounds(server, ways, hold=options.hold, count=options.rounds)
    if options.json:
        sys.stdout.write(as_json(samples))
    else:
        sys.stdout.write(f"{as_table(samples)}\n{made_with(server, known, ways)}\n")
    return 0


def rounds(
    server: Server, ways: Sequence[Tool], *, hold: float, count: int
) -> dict[tuple[str, str], list[Sample]]:
    """Return the samples of each change and way; the ways take turns within each round."""
    samples: dict[tuple[str, str], list[Sample]] = {
        (change, way.name): [] for change in CHANGES for way in ways
    }
    for number in range(count):
        for change in CHANGES:
            for way in ways:
                sys.stderr.write(f"round {number + 1}: {change}, {way.name} …\n")
                with server.database() as database, tempfile.TemporaryDirectory() as folder:
                    found = measure(database, Path(folder), change, way, hold)
                samples[change, way.name].append(found)
    return samples


def measure(database: Database, folder: Path, change: str, way: Tool, hold: float) -> Sample:
    """Measure a run of `migrate` that begins together with the reader that holds ACCESS SHARE."""
    write_project(folder, CHANGES[change])
    database.clear()
    if error := DJANGO.run(folder, ("migrate", "depot", "0001", "-v0"), database.url):
        raise RuntimeError(error)
    database.connection.execute(ROWS)
    writer, reader = Client(database.conninfo, WRITE), Client(database.conninfo, READ)
    with (
        psycopg.connect(database.conninfo) as holder,
        ThreadPoolExecutor(1) as pool,
        running(writer, reader),
    ):
        holder.execute("SELECT count(*) FROM depot_part")
        start = time.monotonic()
        words = _WORDS.get(way, ("migrate", "depot", "-v0"))
        answer = pool.submit(way.run, folder, words, database.url)
        time.sleep(hold)
        holder.rollback()
        error = answer.result()
        took = time.monotonic() - start
        time.sleep(10 * BETWEEN_SECONDS)  # both see the table without its lock
    return Sample(writer.longest, reader.longest, took, error)


def write_project(folder: Path, change: str) -> None:
    (folder / f"{SETTINGS}.py").write_text(_SETTINGS)
    migrations = folder / "depot/migrations"
    migrations.mkdir(parents=True)
    for each in (migrations.parent, migrations):
        (each / "__init__.py").touch()
    (migrations / "0001_initial.py").write_text(MIGRATION % (True, [], TABLE))
    before = [("depot", "0001_initial")]
    (migrations / "0002_change.py").write_text(MIGRATION % (False, before, change))


def as_table(samples: dict[tuple[str, str], list[Sample]]) -> str:
    """Return the medians in seconds."""
    rows = [["operation", "migrate", "writer waits", "reader waits", "run takes", "outcome"]]
    for (change, way), each in samples.items():
        times = [
            median(times)
            for times in zip(*((s.writer, s.reader, s.took) for s in each), strict=True)
        ]
        outcome = "failed" if any(sample.error for sample in each) else "applied"
        rows.append(
            [change, way, f"{times[0]:.2f} s", f"{times[1]:.2f} s", f"{times[2]:.1f} s", outcome]
        )
    return markdown.as_table(rows)


def as_json(samples: dict[tuple[str, str], list[Sample]]) -> str:
    """Return each change and way with its rounds."""
    shown = [
        {"operation": change, "migrate": way, "rounds": [asdict(sample) for sample in each]}
        for (change, way), each in samples.items()
    ]
    return json.dumps({"version": 1, "changes": shown}, indent=1) + "\n"


if __name__ == "__main__":
    sys.exit(main())
