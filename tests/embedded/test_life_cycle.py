"""A server runs from its first user to its last, however they end."""

import os
import signal
from contextlib import ExitStack
from pathlib import Path

from project.embedded import cluster
from tests.embedded.harness import (
    User,
    eventually,
    killed_server,
    lasts,
    postmaster,
    processes,
    query,
    watchers,
)


def test_processes_share_one_server(data_dir: Path) -> None:
    with User(data_dir) as one, User(data_dir) as other:
        assert one.host == other.host
        query(one.host, "CREATE TABLE shared AS SELECT 42 AS answer")
        assert query(other.host, "SELECT answer FROM shared") == 42
        assert len(watchers(data_dir)) == 1


def test_sixteen_processes_start_on_nothing_at_once(place: Path) -> None:
    data_dir = place / ".postgres"
    with ExitStack() as stack:
        users = [stack.enter_context(User(data_dir)) for _ in range(16)]
        servers = {query(user.host, "SELECT pg_postmaster_start_time()") for user in users}
        assert len(servers) == 1
        assert len(watchers(data_dir)) == 1


def test_a_second_start_keeps_the_cluster(data_dir: Path) -> None:
    with User(data_dir) as user:
        identifier = query(user.host, "SELECT system_identifier FROM pg_control_system()")
        query(user.host, "CREATE TABLE kept AS SELECT 42 AS answer")
    cluster.stop(data_dir)
    with User(data_dir) as user:
        assert query(user.host, "SELECT system_identifier FROM pg_control_system()") == identifier
        assert query(user.host, "SELECT answer FROM kept") == 42


def test_killed_users_leave_no_process(data_dir: Path) -> None:
    with User(data_dir) as terminated, User(data_dir) as killed:
        assert terminated.host == killed.host
        terminated.kill(signal.SIGTERM)
        killed.kill(signal.SIGKILL)
    assert processes(data_dir)
    eventually(lambda: not processes(data_dir))


def test_a_forked_child_keeps_the_server_of_its_parent(data_dir: Path) -> None:
    with User(data_dir, "fork") as user:
        host = user.host
        user.process.wait()
        server = postmaster(data_dir)
        lasts(lambda: query(host, "SELECT 1") == 1)
        assert postmaster(data_dir) == server
        assert user.process.stdin
        user.process.stdin.close()
        user.process.stdin = None
        eventually(lambda: not processes(data_dir))


def test_a_killed_server_is_started_again_with_its_data(data_dir: Path) -> None:
    with User(data_dir) as user:
        query(user.host, "CREATE TABLE saved AS SELECT 42 AS answer")
        os.kill(postmaster(data_dir), signal.SIGKILL)
        with User(data_dir) as other:
            assert query(other.host, "SELECT answer FROM saved") == 42


def test_a_killed_watcher_is_replaced(data_dir: Path) -> None:
    with User(data_dir) as user:
        assert user.host
        (killed,) = watchers(data_dir)
        os.kill(killed, signal.SIGKILL)
        with User(data_dir) as other:
            assert other.host
            eventually(lambda: watchers(data_dir) not in ([], [killed]))
    eventually(lambda: not processes(data_dir))


def test_a_start_killed_while_it_makes_the_cluster_is_made_up_for(place: Path) -> None:
    data_dir = place / ".postgres"
    with User(data_dir) as user:
        eventually(lambda: list(data_dir.glob("*/initdb-*/base")))
        user.kill(signal.SIGKILL)
    with User(data_dir) as user:
        assert query(user.host, "SELECT 1") == 1
        assert not list(data_dir.glob("*/initdb-*"))


def test_a_pid_file_that_names_a_stranger_is_not_believed(data_dir: Path) -> None:
    with killed_server(data_dir) as stranger:
        with User(data_dir) as user:
            assert query(user.host, "SELECT 1") == 1
            assert postmaster(data_dir) != stranger.pid
        assert stranger.poll() is None
