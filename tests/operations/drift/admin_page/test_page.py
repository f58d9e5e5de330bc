"""The admin's page of the schema: who sees it, what it shows, and what stands there when a reading fails."""

import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.core.cache.backends.filebased import FileBasedCache
from django.core.cache.backends.locmem import LocMemCache
from django.core.management import call_command
from django.db import connections
from django.test import Client
from django.urls import path

from signals.operations.drift import cached_reading
from tests.deadline import DEADLINE
from tests.operations.drift.admin_page.conftest import EVIL, PAGE
from tests.postgres.catalog_facts import catalog_versions
from tests.postgres.databases import Database
from tests.postgres.polling import lock_waiter, wait_until

pytestmark = pytest.mark.django_db(transaction=True)


def text(client: Client, database: Database | None = None, **query: str) -> str:
    data = {"database": database.alias, **query} if database else query
    answer = client.get(PAGE, data)
    assert answer.status_code == 200
    return source(answer)


def source(answer: Any) -> str:
    """Return the page without the places where a browser may break a name."""
    return str(answer.content.decode().replace("<wbr>", ""))


def read(client: Client, database: Database) -> str:
    """Presses the button, and goes where the answer leads."""
    answer = client.post(f"{PAGE}?database={database.alias}", follow=True)
    assert answer.redirect_chain == [(f"{PAGE}?database={database.alias}", 302)]
    return source(answer)


def test_only_who_may_view_the_schema_comes_to_the_page(login: Callable[..., Client]) -> None:
    assert Client().get(PAGE).headers["Location"] == f"/admin/login/?next={PAGE}"
    stranger = login()
    assert (stranger.get(PAGE).status_code, stranger.post(PAGE).status_code) == (403, 403)
    assert PAGE not in stranger.get("/admin/").content.decode()
    User.objects.all().delete()
    viewer = login("view_schema")
    index = viewer.get("/admin/").content.decode()
    assert f'href="{PAGE}"' in index
    assert f"{PAGE}add/" not in index
    assert viewer.put(PAGE).status_code == 405
    assert viewer.get(f"{PAGE}add/").status_code == 404
    known = Permission.objects.filter(content_type__app_label="convergent_migrations")
    assert [each.codename for each in known] == ["view_schema"]


def test_a_post_without_the_token_is_refused(login: Callable[..., Client]) -> None:
    login("view_schema")
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.get())
    assert strict.post(PAGE).status_code == 403


def test_a_database_is_read_when_the_button_is_pressed_and_else_never(
    watcher: Client, drifted: Database
) -> None:
    assert "This database has not been read yet." in text(watcher, drifted)
    assert cached_reading.last(connections[drifted.alias]) == (None, None)
    before = catalog_versions(drifted)
    page = read(watcher, drifted)
    assert f"The database {drifted.alias} was read." in page
    assert "<strong>3 of " in page
    assert "✗ Missing" in page
    assert "≠ Different" in page
    reading, _ = cached_reading.last(connections[drifted.alias])
    drifted.run("CREATE INDEX idx_signals_state_created_at ON signals (state, created_at)")
    assert "<strong>3 of " in text(watcher, drifted)
    assert cached_reading.last(connections[drifted.alias]) == (reading, None)
    drifted.run("DROP INDEX idx_signals_state_created_at")
    assert catalog_versions(drifted) == before


def test_rows_are_filtered_by_status_and_app_and_all_of_them_can_be_seen(
    watcher: Client, drifted: Database
) -> None:
    page = read(watcher, drifted)
    assert "Not as declared (3)" in page
    assert ">1 is undeclared</a>, and refuses no row." in page
    assert "✗ Missing (2)" in page
    assert "onchain_asof_ts" in page
    assert "signals_pkey" not in page
    every = text(watcher, drifted, status="all")
    assert "✓ Exists" in every
    assert "event_key" in every
    missing = text(watcher, drifted, status="missing", app="signals")
    assert missing.count('<tr class="status-missing">') == 2
    assert missing.count('<tr class="status-') == 2
    assert "No row of this kind." in text(watcher, drifted, status="building")
    assert "No row of this kind." in text(watcher, drifted, status="all", app="nonsense")
    assert watcher.get(PAGE, {"database": "nonsense"}).status_code == 404


def test_a_clean_schema_with_an_undeclared_column_has_nothing_to_look_at_first(
    watcher: Client, drifted: Database
) -> None:
    drifted.run(
        "ALTER TABLE signals ADD onchain_asof_ts timestamptz",
        "ALTER TABLE signals DROP CONSTRAINT signals_state_check",
    )
    with connections[drifted.alias].cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'signals' AND name >= '0012'")
    page = read(watcher, drifted)
    assert "Clean: the " in page
    assert "Not as declared (0)" in page
    assert "No row of this kind." in page
    undeclared = text(watcher, drifted, status="undeclared")
    assert undeclared.count('<tr class="status-undeclared">') > 0


def test_a_note_of_health_is_behind_a_link_and_no_finding(
    watcher: Client, drifted: Database
) -> None:
    drifted.run(
        "INSERT INTO signals (id, ts, created_at, updated_at) VALUES (5, now(), now(), now())"
    )
    page = read(watcher, drifted)
    assert "Not as declared (3)" in page
    assert "1 note of health</a>." in page
    notes = text(watcher, drifted, status="health")
    assert notes.count('<tr class="status-health">') == 1
    assert "its next value is 1, and id reaches 5" in notes


def test_what_awaits_contract_is_behind_a_link_and_no_finding(
    watcher: Client, expanded: Database
) -> None:
    page = read(watcher, expanded)
    assert "Not as declared (3)" in page
    (query,) = re.findall(r'<a href="(\?[^"]*)">1 awaits contract</a>\.', page)
    assert query == f"?database={expanded.alias}&amp;status=awaiting".replace(" ", "+")
    assert 'class="status-awaiting"' not in page
    rows = text(watcher, expanded, status="awaiting")
    assert rows.count('<tr class="status-') == 1
    (row,) = re.findall(r'<tr class="status-awaiting">.*?</tr>', rows, re.DOTALL)
    cells = [re.sub(r"<[^>]+>|\s+", " ", each).strip() for each in row.split("</td>")]
    assert cells[0] == "column"
    assert cells[-2:] == ["… Awaiting contract", ""]
    assert "crates.0002_removal" in row
    assert "… Awaiting contract (1)" in rows  # the choice of the filter
    assert text(watcher, expanded, status="all").count("… Awaiting contract") == 2


def test_an_accepted_finding_is_none_and_a_stale_entry_is_shown(
    watcher: Client, drifted: Database, tmp_path: Path, settings: Any
) -> None:
    entry = """[[accepted]]
row = 'index {}'
status = "missing"
reason = "it is <built> at night"
who = "Ada"
until = 9999-12-31
"""
    file = tmp_path / "accepted.toml"
    name = 'idx_signals_state_created_at of "signals"'
    file.write_text(entry.format(name) + entry.format("gone"))
    settings.CONVERGENT_MIGRATIONS = {"ACCEPTED_FINDINGS": file}
    page = read(watcher, drifted)
    assert "<strong>2 of " in page
    assert "1 is accepted." in page
    assert "Stale accepted finding: missing: index gone: is not found any more" in page
    assert "Not as declared (2)" in page
    every = text(watcher, drifted, status="all")
    assert "<dd>until 9999-12-31 by Ada: it is &lt;built&gt; at night</dd>" in every


def test_many_rows_are_on_several_pages(
    watcher: Client, drifted: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signals.operations.admin.PAGE", 2)
    read(watcher, drifted)
    first, last = text(watcher, drifted), text(watcher, drifted, page="2")
    assert f"?database={drifted.alias}&amp;page=2" in first.replace("%20", " ")
    assert (first.count('<tr class="status-'), last.count('<tr class="status-')) == (2, 1)
    assert "3 rows, page 2 of 2" in last


def test_names_and_definitions_of_the_catalog_are_text(watcher: Client, drifted: Database) -> None:
    read(watcher, drifted)
    page = text(watcher, drifted, status="all")
    assert EVIL not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    assert "&lt;&gt; &#x27;&lt;b&gt;&#x27;" in page
    assert "<script>" not in page
    assert "<style" not in page.partition('id="content-main"')[2]


def test_a_database_that_is_down_is_told_in_words_and_the_reading_before_it_stays(
    watcher: Client, drifted: Database
) -> None:
    read(watcher, drifted)
    place = connections[drifted.alias].settings_dict
    connections[drifted.alias].close()
    Database("postgres").run(f"ALTER DATABASE {drifted.name} ALLOW_CONNECTIONS false")
    page = read(watcher, drifted)
    assert "failed (below is the reading before it): the database " in page
    assert f"database &#x27;{drifted.alias}&#x27; cannot be read: connection" in page
    assert "<strong>3 of " in page
    assert str(place.get("PASSWORD") or "\0") not in page
    Database("postgres").run(f"ALTER DATABASE {drifted.name} ALLOW_CONNECTIONS true")
    assert " failed" not in read(watcher, drifted)


def test_a_lock_and_a_statement_timeout_end_a_reading_in_words(
    watcher: Client, drifted: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cached_reading, "_LOCK_TIMEOUT", 0.05)
    with drifted.connect(autocommit=False) as migrator:
        migrator.execute("LOCK TABLE signals")
        page = read(watcher, drifted)
    assert "lock timeout" in page
    assert "This database has not been read yet." in page
    monkeypatch.setattr(cached_reading, "_LOCK_TIMEOUT", DEADLINE)
    connections[drifted.alias].close()
    drifted.run(f"ALTER DATABASE {drifted.name} SET statement_timeout = '500ms'")
    with drifted.connect(autocommit=False) as migrator:
        migrator.execute("LOCK TABLE signals")
        assert "statement timeout" in read(watcher, drifted)


def test_where_requests_are_transactions_a_database_that_is_down_is_told_in_words_too(
    watcher: Client, drifted: Database, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Urls:  # made when the database was one of the project's
        urlpatterns: ClassVar[list[Any]] = [path("admin/", admin.site.urls)]

    settings.ROOT_URLCONF = Urls
    monkeypatch.setitem(connections[drifted.alias].settings_dict, "ATOMIC_REQUESTS", True)
    Database("postgres").run(f"ALTER DATABASE {drifted.name} ALLOW_CONNECTIONS false")
    assert "cannot be read: connection" in read(watcher, drifted)


def test_who_presses_while_another_one_reads_is_told_so(watcher: Client, drifted: Database) -> None:
    def first() -> None:
        cached_reading.renew(connections[drifted.alias])
        connections[drifted.alias].close()

    with drifted.connect(autocommit=False) as migrator:
        migrator.execute("LOCK TABLE signals")
        thread = threading.Thread(target=first)
        thread.start()
        wait_until(lock_waiter(drifted, ""), "the first one waits for the lock")
        page = read(watcher, drifted)
        assert f"Somebody has been reading the database {drifted.alias} since " in page
        assert "This database has not been read yet." in page
        migrator.rollback()
    thread.join(30)
    assert "<strong>3 of " in text(watcher, drifted)


def test_processes_that_share_no_cache_share_a_folder_that_nobody_else_can_open(
    drifted: Database, tmp_path: Path
) -> None:
    env = {"TMPDIR": str(tmp_path)}
    ask = (
        "from django.db import connection; from signals.operations.drift.cached_reading import *; "
    )
    shell = ("shell", "-v0", "-c")
    done = drifted.manage(*shell, f"{ask}print(renew(connection).at)", env=env)
    again = drifted.manage(*shell, f"{ask}print(last(connection)[0].at)", env=env)
    assert (done.stderr, again.stdout) == ("", done.stdout)
    (folder,) = tmp_path.iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert isinstance(cached_reading._cache(), FileBasedCache)
    folder.chmod(0o755)
    assert isinstance(cached_reading._cache(), LocMemCache)


def test_a_reading_is_found_again_where_the_backend_fills_in_the_address(
    drifted: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = connections[drifted.alias]
    place = connection.settings_dict
    monkeypatch.setitem(cached_reading._configured, drifted.alias, cached_reading._identity(place))
    reading = cached_reading.renew(connection)
    assert isinstance(reading, cached_reading.Reading)
    monkeypatch.setitem(place, "HOST", "/filled/in")
    assert cached_reading.last(connection) == (reading, None)
    monkeypatch.setitem(place, "NAME", "another")
    assert cached_reading.last(connection) == (None, None)
    assert "PASSWORD" not in cached_reading._identity({**place, "PASSWORD": "secret"})


def test_a_cache_of_the_project_that_processes_share_is_used(
    settings: Any, tmp_path: Path, drifted: Database
) -> None:
    shared = {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache"}
    local = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
    place = str(tmp_path / "shared")
    settings.CACHES = {"default": local, "convergent_migrations": {**shared, "LOCATION": place}}
    assert isinstance(cached_reading.renew(connections[drifted.alias]), cached_reading.Reading)
    assert len(list(Path(place).iterdir())) == 1
    assert list(tmp_path.iterdir()) == [Path(place)]


def test_there_is_no_table_and_who_walks_all_models_finds_no_rows(capsys: Any) -> None:
    call_command("migrate", run_syncdb=True, verbosity=0)
    call_command("dumpdata", "convergent_migrations", "--all")
    assert capsys.readouterr().out.strip() == "[]"
    tables = connections["default"].introspection.table_names()
    assert not [each for each in tables if each.startswith("convergent_migrations")]
