"""What an operation says stands on a line of its own, and not behind Django's "Applying ..."."""

import os
import pty
import subprocess
import sys

import pytest

from tests.deadline import DEADLINE
from tests.operations.projects.project import Project
from tests.operations.projects.unmigrated_project import KEY, run_command, write_history
from tests.postgres.databases import ROOT, process_environment

BOOK = f"migrations.CreateModel('Book', [{KEY}, ('a', models.IntegerField())])"
INDEX = "migrations.AddIndex('book', models.Index(fields=['a'], name='book_a'))"
WANTED = [
    "  Applying mill.0002_step...",
    'healing the unfinished index book_a of "mill_book"',
    " OK",
]


@pytest.fixture
def project(unmigrated_project: Project) -> Project:
    """A project whose next migration finds what a killed run has left."""
    write_history(unmigrated_project, BOOK, INDEX)
    run_command(unmigrated_project, "convergent_migration", "mill", "0002")
    run_command(unmigrated_project, "migrate", "mill", "0001", "-v0")
    unmigrated_project.database.run(
        "INSERT INTO mill_book (a) VALUES (1)",
        "CREATE INDEX book_a ON mill_book (a)",
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'book_a'::regclass",
    )
    return unmigrated_project


def migrate(project: Project, out: int, err: int) -> None:
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "mill", "--no-color"],
        cwd=ROOT,
        env=process_environment(project.database.url) | project.env(),
        stdout=out,
        stderr=err,
        timeout=DEADLINE,
        check=True,
    )


def lines(data: bytes) -> list[str]:
    text = data.decode().replace("\r\n", "\n")
    return text[text.index("  Applying mill.0002") :].splitlines()


def test_on_a_terminal(project: Project) -> None:
    leader, follower = pty.openpty()
    migrate(project, follower, follower)
    os.close(follower)
    shown = os.read(leader, 65536)
    os.close(leader)
    assert lines(shown) == WANTED


def test_in_a_log(project: Project) -> None:
    log = project.folder / "log"
    with log.open("wb") as file:
        migrate(project, file.fileno(), file.fileno())
    assert lines(log.read_bytes()) == WANTED


def test_where_the_two_go_apart_djangos_line_stays_whole(project: Project) -> None:
    out, err = project.folder / "out", project.folder / "err"
    with out.open("wb") as one, err.open("wb") as other:
        migrate(project, one.fileno(), other.fileno())
    assert lines(out.read_bytes()) == ["  Applying mill.0002_step... OK"]
    assert err.read_text() == f"{WANTED[1]}\n"
