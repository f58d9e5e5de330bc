"""Where a cluster lies, and who can reach it."""

import shutil
import stat
from pathlib import Path

from project.embedded import cluster
from tests.embedded.harness import User, moved, query


def test_a_path_may_hold_any_character(place: Path) -> None:
    folder = place / 'été, it\'s "quoted" $HOME `id`; \\'
    folder.mkdir()
    with User(folder / ".postgres") as user:
        assert query(user.host, "SHOW server_encoding") == "UTF8"
        assert query(user.host, "SHOW timezone") == "UTC"


def test_a_path_with_a_space_and_a_quote_holds_the_socket_too(place: Path, data_dir: Path) -> None:
    with moved(data_dir, place / 'it\'s "ours"') as there, User(there) as user:
        assert query(user.host, "SELECT 1") == 1
        assert Path(user.host).is_relative_to(there)


def test_a_very_long_path_has_its_socket_in_a_private_folder(place: Path, data_dir: Path) -> None:
    with moved(data_dir, place.joinpath(*["a-very-long-name"] * 12)) as there, User(there) as user:
        assert query(user.host, "SELECT 1") == 1
        assert not Path(user.host).is_relative_to(place)
        assert stat.S_IMODE(Path(user.host).stat().st_mode) == 0o700


def test_a_cluster_that_moved_keeps_its_data(place: Path, data_dir: Path) -> None:
    with User(data_dir) as user:
        query(user.host, "CREATE TABLE carried AS SELECT 42 AS answer")
    cluster.stop(data_dir)
    with moved(data_dir, place / "elsewhere") as there, User(there) as user:
        assert query(user.host, "SELECT answer FROM carried") == 42


def test_only_the_socket_is_open_and_only_to_its_owner(data_dir: Path) -> None:
    with User(data_dir) as user:
        folder = Path(user.host)
        assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
        assert stat.S_IMODE((folder / ".s.PGSQL.5432").stat().st_mode) == 0o700
        assert query(user.host, "SHOW listen_addresses") == ""


def test_a_cluster_that_is_removed_under_its_user_is_made_again(
    place: Path, data_dir: Path
) -> None:
    with User(data_dir) as user:
        assert user.host
        cluster.stop(data_dir)
        with moved(data_dir, place / "removed"), User(data_dir) as other:
            assert query(other.host, "SELECT 1") == 1
            cluster.stop(data_dir)
            shutil.rmtree(data_dir)
