"""What root's processes do; collected for root only."""

import os
import stat
from pathlib import Path

from project.embedded import cluster
from project.embedded.account import Account
from project.embedded.programs import Programs
from tests.embedded.harness import User, accounts, environment, eventually, processes, query


def test_no_process_of_the_cluster_is_roots_and_no_parent_changes(place: Path) -> None:
    parents = [place, *place.parents]
    before = [(parent.stat().st_mode, parent.stat().st_uid) for parent in parents]
    with User(place / ".postgres") as user:
        assert user.host
        eventually(lambda: accounts(place / ".postgres") == {Account.chosen().uid})
    assert before == [(parent.stat().st_mode, parent.stat().st_uid) for parent in parents]


def test_in_a_closed_folder_the_cluster_goes_to_a_private_place(place: Path) -> None:
    place.chmod(0o700)
    data_dir = place / ".postgres"
    with User(data_dir) as user:
        assert query(user.host, "SELECT 1") == 1
        (link,) = data_dir.iterdir()
        home = link.resolve()
        assert not home.is_relative_to(place)
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
        assert home.stat().st_uid != 0
        assert cluster.stop(data_dir) == [home]
        assert not processes(data_dir)
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    with User(data_dir) as user:
        assert Path(user.host).parent == home


def test_a_wheel_in_a_closed_folder_is_copied_for_the_server(place: Path, data_dir: Path) -> None:
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    package = Programs.find().folder.parent.parent
    for part in package.parent.glob(f"{package.name}*"):
        (closed / part.name).symlink_to(part)
    path = os.pathsep.join([str(closed), environment()["PYTHONPATH"]])
    with User(data_dir, env=environment(PYTHONPATH=path)) as user:
        assert query(user.host, "SELECT 1") == 1
        assert os.access(next(data_dir.glob("*/programs")), os.X_OK)


def test_a_cluster_folder_of_roots_is_refused(place: Path) -> None:
    folder = place / ".postgres" / Programs.find().major()
    folder.mkdir(parents=True)
    with User(place / ".postgres") as user:
        assert user.end() == (
            f"{folder} belongs to root, whom PostgreSQL does not serve (remove the folder)\n"
        )
