"""Root and an ordinary user in one place; collected where root can become `nobody`."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from project.embedded.account import Account
from tests.embedded import as_nobody
from tests.embedded.harness import User, accounts, eventually, processes, query

Start = Callable[[Path], User]


@pytest.fixture
def checkout(place: Path) -> Path:
    """A folder of the ordinary user's."""
    os.chown(place, as_nobody.ACCOUNT.uid, as_nobody.ACCOUNT.gid)
    return place


@pytest.mark.parametrize(("first", "second"), [(User, as_nobody.user), (as_nobody.user, User)])
def test_an_ordinary_user_and_root_share_what_either_made(
    checkout: Path, first: Start, second: Start
) -> None:
    data_dir = checkout / ".postgres"
    with first(data_dir) as user:
        query(user.host, "CREATE TABLE kept AS SELECT 42 AS answer")
        eventually(lambda: accounts(data_dir) == {as_nobody.ACCOUNT.uid})
        with second(data_dir) as other:
            assert query(other.host, "SELECT answer FROM kept") == 42
        assert as_nobody.run("stop", data_dir).returncode == 0
        assert not processes(data_dir)
    with second(data_dir) as user:
        assert query(user.host, "SELECT answer FROM kept") == 42
        eventually(lambda: accounts(data_dir) == {as_nobody.ACCOUNT.uid})


def test_a_cluster_that_belongs_to_another_is_refused_with_the_fix(place: Path) -> None:
    data_dir = place / ".postgres"
    data_dir.mkdir(mode=0o700)
    refusal = (
        f"{data_dir} is closed to nobody, it belongs to root (run as root, give it away with"
        " `chown -R nobody`, or name another server in DATABASE_URL)\n"
    )
    assert Account.owning(data_dir).uid == 0
    with as_nobody.user(data_dir) as user:
        assert user.end() == refusal
    for command in ("status", "stop"):
        done = as_nobody.run(command, data_dir)
        assert (done.returncode, done.stderr) == (3, refusal)
