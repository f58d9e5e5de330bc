"""verify_schema --prometheus: the file, as Prometheus' own parser reads it."""

import time
from pathlib import Path

import pytest
from django.core.management.base import CommandError

from signals.operations.drift.prometheus import ReadAttempt, Textfile
from signals.operations.drift.rows import Survey
from signals.operations.management import prometheus_file
from tests.operations.drift.prometheus_samples import parse_samples
from tests.operations.projects.project import Project
from tests.postgres.databases import Database


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "schema.prom"


def test_the_file_counts_what_json_tells_and_after_a_repair_the_state_after_it(
    stock_project: Project, file: Path
) -> None:
    stock_project.psql(
        "ALTER TABLE auth_user DROP last_login; DROP INDEX thing_lower;"
        "ALTER TABLE shop_things ADD obsolete integer"
    )
    counts = stock_project.json_report()["counts"]
    done = stock_project.verify("--prometheus", str(file), "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")
    found = parse_samples(file.read_text())
    assert {
        key[3]: value
        for key, value in found.items()
        if key[:3] == ("components", "default", "public")
    } == counts
    assert (counts["missing"], counts["leftover"]) == (2, 1)
    assert found["findings", "default", "public"] == 3
    assert found["clean", "default", "public"] == 0
    assert found["applied_migrations", "default", "public"] > 20
    assert found["run_success", "default"] == 1
    assert 0 <= time.time() - found["run_timestamp_seconds", "default"] < 60
    assert 0 < found["run_duration_seconds", "default"] < 60
    assert file.stat().st_mode & 0o777 == 0o644
    stock_project.psql("ALTER TABLE shop_things DROP obsolete")
    done = stock_project.verify("--prometheus", str(file), "--repair", "--no-input", "--json")
    assert done.returncode == 0
    found = parse_samples(file.read_text())
    assert (found["clean", "default", "public"], found["findings", "default", "public"]) == (1, 0)
    assert stock_project.verify("--prometheus", str(file), "--strict", "--quiet").returncode == 1
    assert parse_samples(file.read_text())["findings", "default", "public"] == 1
    assert list(file.parent.iterdir()) == [file]


def test_a_database_that_cannot_be_read_is_a_failed_run_and_the_others_are_told(
    stock_project: Project, file: Path
) -> None:
    ask = ("--all-databases", "--prometheus", str(file), "--quiet")
    gone = Database("test_mig_gone").url
    assert stock_project.verify(*ask, SECOND_URL=gone).returncode == 4
    found = parse_samples(file.read_text())
    success = {key[1]: value for key, value in found.items() if key[0] == "run_success"}
    assert success == {"default": 1, "second": 0}  # SQLite is not asked
    assert found["clean", "default", "public"] == 1
    assert not [key for key in found if key[0] == "components" and key[1] == "second"]
    done = stock_project.verify(*ask, SECOND_URL=stock_project.database.url)
    assert (done.returncode, done.stderr) == (
        0,
        "the database 'lite' is SQLite, not PostgreSQL; left out\n",
    )
    success = {
        key[1]: value
        for key, value in parse_samples(file.read_text()).items()
        if key[0] == "run_success"
    }
    assert success == {"default": 1, "second": 1}
    assert stock_project.verify("--database", "lite", *ask[1:], SECOND_URL=gone).returncode == 3
    assert parse_samples(file.read_text())["run_success", "lite"] == 0


def test_what_is_asked_wrongly_leaves_the_file_as_it_is(stock_project: Project, file: Path) -> None:
    file.write_text("before")
    for words, code, said in (
        (("--prometheus", str(file.with_suffix(".txt"))), 2, "name a file *.prom"),
        (("auth", "--prometheus", str(file)), 2, "name no app"),
        (("--prometheus", str(file), "--sql", "--json"), 2, "exclude each other"),
        (("--prometheus", str(file.parent / "no" / "x.prom")), 3, "No such file or directory"),
    ):
        done = stock_project.verify(*words, "--quiet")
        assert (done.returncode, said in done.stderr) == (code, True), done.stderr
    assert "Traceback" not in done.stderr
    assert (file.read_text(), list(file.parent.iterdir())) == ("before", [file])


def test_labels_are_escaped() -> None:
    name = 'a "quoted" \\ name\nin two lines'
    textfile = Textfile(surveys=[Survey(name, "ünïcode", 1, ())])
    textfile.runs[name] = ReadAttempt(success=True, ended=1764150000.1239, seconds=0.25)
    found = parse_samples(str(textfile))
    assert found["clean", name, "ünïcode"] == 1
    assert found["run_timestamp_seconds", name] == 1764150000.124


def test_a_write_that_fails_leaves_the_file_before_it_and_nothing_else(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text("before")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(CommandError) as failure:
        prometheus_file._write(file, "after")
    assert (
        str(failure.value) == f"the file {str(file)!r} cannot be written: No space left on device"
    )
    assert (file.read_text(), list(file.parent.iterdir())) == ("before", [file])
