"""Actions in a real server process: its memory, a browser that goes away, and a process that is killed."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlencode

import pytest
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from signals.action_models import SignalAction, SignalActionRow
from signals.models import Signal, SignalEvent
from tests.admin.actions import LIST
from tests.postgres.databases import ROOT, Database, process_environment
from tests.postgres.polling import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

ROWS = 200_000
MEGABYTES = 30
TOKEN = "t" * 32
SERVER = """
from wsgiref.simple_server import make_server
from project.wsgi import application
server = make_server("127.0.0.1", 0, application)
print(server.server_port, flush=True)
server.serve_forever()
"""


@dataclass(frozen=True, slots=True)
class Server:
    """A process that serves the admin on the test database, to a superuser."""

    process: "subprocess.Popen[str]"
    port: int
    session: str

    def start(self, action: str, filters: str = "") -> HTTPResponse:
        """Choose an action for all that match; the caller reads the answer."""
        form = {"action": action, "index": 0, "select_across": 1, "_selected_action": 1}
        return self.post(LIST + filters, form)

    def post(self, path: str, form: dict[str, Any]) -> HTTPResponse:
        wire = HTTPConnection("127.0.0.1", self.port, timeout=60)
        cookies = f"{settings.SESSION_COOKIE_NAME}={self.session}; csrftoken={TOKEN}"
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Cookie": cookies,
            "X-CSRFToken": TOKEN,
        }
        wire.request("POST", path, urlencode(form), headers)
        return wire.getresponse()

    def peak(self) -> float:
        """Return the most memory that the process has had so far, in megabytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        (line,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1]) / 1024


@pytest.fixture
def chief() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("chief"))
    return client


@pytest.fixture
def server(chief: Client) -> Iterator[Server]:
    session = chief.cookies[settings.SESSION_COOKIE_NAME].value
    database = Database(str(connection.settings_dict["NAME"]))
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER],
        cwd=ROOT,
        env=process_environment(database.url) | {"DJANGO_SETTINGS_MODULE": "project.settings"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
    )
    with process:
        assert process.stdout
        yield Server(process, int(process.stdout.readline()), session)
        process.kill()


@pytest.fixture
def _rows() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO events (event_key, start_ts, last_ts, symbol)"
            " SELECT 'ethereum:' || n, now(), now(), 'PEPE' FROM generate_series(1, %s) n",
            [ROWS],
        )
        cursor.execute("INSERT INTO signals (event_key) SELECT event_key FROM events")
        cursor.execute("ANALYZE signals, events")


@pytest.mark.usefixtures("_rows")
@pytest.mark.parametrize("action", ["export_csv", "export_jsonl"])
def test_the_memory_of_the_server_does_not_grow_with_the_rows(server: Server, action: str) -> None:
    first = Signal.objects.order_by("-pk")[0].pk
    assert server.start(action, f"?q={first}").read()
    before = server.peak()
    response, lines, size = server.start(action), 0, 0
    while part := response.read(1 << 20):
        lines += part.count(b"\n")
        size += len(part)
    assert lines == ROWS + (action == "export_csv")
    assert size > MEGABYTES * 2**20  # else nothing would be shown
    assert server.peak() - before < MEGABYTES
    wait_until(lambda: said(f"Exported {ROWS:,} signals"), "the log says how many there were")


def said(beginning: str) -> bool:
    return LogEntry.objects.filter(change_message__startswith=beginning).exists()


@pytest.mark.usefixtures("_rows")
def test_the_query_ends_when_the_browser_goes(server: Server) -> None:
    response = server.start("export_csv")
    assert response.read(100_000)
    response.close()
    wait_until(lambda: said("Broke off an export"), "the server notices")
    assert not others_at_work()


def others_at_work() -> bool:
    """Return whether another session of the database has a transaction open."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND xact_start IS NOT NULL AND backend_type = 'client backend'"
        )
        return bool(cursor.fetchone()[0])


def test_a_killed_server_leaves_whole_batches_and_another_one_continues(
    server: Server, chief: Client
) -> None:
    number = 20_000
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO signals (state) SELECT 'verified' FROM generate_series(1, %s)", [number]
        )
    place = server.start("override").headers["Location"]
    form = {"confirm": "yes", "number": number, "state": "downgraded", "reason": "because"}
    assert server.post(place, form).status == 302

    def go_on() -> None:
        with suppress(HTTPException, OSError):
            while True:
                server.post(place, {"continue": "yes"})

    client = Thread(target=go_on)
    client.start()
    wait_until(lambda: SignalAction.objects.get().done > 0, "the first batch is done")
    server.process.kill()
    server.process.wait()
    client.join()
    wait_until(lambda: not others_at_work(), "the killed server's statement has ended")
    done = SignalAction.objects.get().done
    assert 0 < done < number
    assert SignalEvent.objects.count() == LogEntry.objects.count() == done
    assert Signal.objects.filter(state="downgraded").count() == done
    assert SignalActionRow.objects.count() == number - done
    while SignalAction.objects.get().finished_at is None:
        chief.post(place, {"continue": "yes"})
    assert SignalAction.objects.get().done == number
    assert SignalEvent.objects.values("signal").distinct().count() == number
    assert SignalEvent.objects.count() == LogEntry.objects.count() == number
