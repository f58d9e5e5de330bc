"""The page of the schema says whether the shadow is part of a reading, and replays nothing by itself."""

from pathlib import Path

import pytest
from django.core.management import call_command
from django.test import Client

from tests.operations.drift.admin_page.test_page import read
from tests.postgres.databases import Database

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_kept_replay_is_part_of_the_reading_if_the_setting_asks_for_it(
    watcher: Client, drifted: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "kept"))
    drifted.run("CREATE RULE silent AS ON DELETE TO signals DO INSTEAD NOTHING")
    page = read(watcher, drifted)
    command = f"<code>manage.py verify_schema --database {drifted.alias} --shadow</code>"
    assert f"Not compared with what the migrations' own SQL makes. {command} tells it" in page
    monkeypatch.setenv("CONVERGENT_MIGRATIONS_SHADOW", "true")
    page = read(watcher, drifted)
    assert "because no replay of these migrations is kept" in page
    assert f"{command} makes it." in page
    assert "<strong>3 of " in page
    with pytest.raises(SystemExit):
        call_command("verify_schema", "--shadow", "--quiet", database=drifted.alias)
    page = read(watcher, drifted)
    assert "Compared with the shadow too" in page
    assert "<strong>4 of " in page
    assert "CREATE RULE silent" in page
