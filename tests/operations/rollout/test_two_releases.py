"""Code of two releases reads and writes all the while a database is changed from the one to the other."""

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.rollout.changes import CHANGES
from benchmarks.rollout.project import RELEASES, stock_source, write_releases
from benchmarks.rollout.releases import running
from tests.operations.rollout.two_releases import Rollout, assert_no_error
from tests.postgres.polling import wait_until


def test_neither_release_meets_an_error_and_each_reads_what_the_other_has_written(
    rollout: Rollout,
) -> None:
    url = rollout.database.url
    with running(rollout.folder, "old", url) as old:
        assert_no_error(old)
        rollout.migrate("new", "-v0", "--phase", "expand")
        assert_no_error(old)
        with running(rollout.folder, "new", url) as new:
            assert_no_error(old, new)
            old.stop()
            said = rollout.migrate("new", "--phase", "contract")
            assert "Removed table remove_table_item" in said
            assert_no_error(new)


def test_without_phases_the_old_release_breaks(rollout: Rollout) -> None:
    """Show that the loops tell: an error is counted where one is met."""
    with running(rollout.folder, "old", rollout.database.url) as old:
        assert_no_error(old)
        # A row that old code writes between the fill of a column and its NOT NULL stops a run.
        wait_until(lambda: rollout.is_migrated("new"), "migrate has met no row of old code")
        failed = {name.partition(".")[0] for name in old.goes_on().failed}
    removals = {"remove_column", "remove_callable", "remove_table"}
    assert failed == removals | {"rename_column", "rename_table", "add_not_null", "add_filled"}


@pytest.mark.parametrize("release", RELEASES)
def test_the_migrations_of_each_release_make_its_models(rollout: Rollout, release: str) -> None:
    words = ("makemigrations", "--check", "--dry-run")
    done = rollout.database.manage(*words, env=rollout.environment(release))
    assert done.returncode == 0, done.stdout


def test_the_operations_of_the_library_change_the_state_as_those_of_django_do(
    new_rollout: Callable[[Path], Rollout], tmp_path: Path
) -> None:
    write_releases(tmp_path, CHANGES, {each.label: stock_source(each) for each in CHANGES})
    test_the_migrations_of_each_release_make_its_models(new_rollout(tmp_path), "new")
