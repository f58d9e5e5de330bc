"""The front page: what it counts, for whom, and at what cost."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from signals.admin.front_page import context, figures
from signals.models import SignalEvent, SignalVerification, VerificationRules, VerificationRun
from signals.operations.drift import cached_reading
from tests.admin.conftest import Staff
from tests.admin.sample_rows import (
    ATTACK,
    make_feature,
    make_signal,
    make_verdict,
    make_verification,
)

pytestmark = pytest.mark.django_db

PARTS = {
    "view_signalverification": "front-job",
    "view_signalevent": "front-verdicts",
    "view_verificationrun": "front-runs",
    "view_onchainfeature": "front-chains",
}


def make_run(**fields: Any) -> VerificationRun:
    now = timezone.now()
    values: dict[str, Any] = {
        "id": uuid4(),
        "started_at": now - timedelta(seconds=90),
        "heartbeat_at": now,
        "finished_at": now,
        "outcome": "finished",
        "host": "worker-1",
        "pid": 1,
        "mode": "on",
        "rules_sha256": "e" * 64,
        "counts": {"scanned": 1200, "updated": 3, "errors": 2},
    }
    return VerificationRun.objects.create(**values | fields)


def waiting(due: timedelta) -> SignalVerification:
    """Make a signal whose check has been due for that long."""
    return make_verification(
        make_signal(), status="waiting", next_check_at=timezone.now() - due, attempts=0, error=""
    )


def front(client: Client) -> str:
    response = client.get("/admin/")
    assert response.status_code == 200
    return str(response.content.decode())


def numbers(page: str) -> dict[str, str]:
    """Return the numbers that the page shows, by name."""
    found = re.findall(
        r'front-name">([^<]*)</span>\s*<span class="front-value">(.*?)</span></a>', page
    )
    return {name: re.sub(r"<.*?>|⚠ ", "", value).replace("\xa0", " ") for name, value in found}


def test_it_counts_what_is_due_overdue_dead_and_failed(superuser: Client) -> None:
    for due in (timedelta(minutes=-5), timedelta(minutes=5), timedelta(minutes=40)):
        waiting(due)
    make_verification(make_signal())
    make_run()
    make_run(started_at=timezone.now() - timedelta(days=3), heartbeat_at=timezone.now())
    make_run(heartbeat_at=timezone.now() - timedelta(days=2))
    assert numbers(front(superuser)) == {
        "Due": "2",
        "Oldest wait": "40 minutes",
        "Overdue": "1",
        "Dead": "1",
        "Errors": "4",
    }


def test_each_number_leads_to_the_rows_that_it_counts(superuser: Client) -> None:
    late, later = waiting(timedelta(minutes=5)), waiting(timedelta(minutes=40))
    waiting(timedelta(minutes=-5))
    dead = make_verification(make_signal())
    verdict = make_verdict(make_signal())
    run = make_run()
    page = superuser.get("/admin/")
    hrefs = {each.name: each.href for each in page.context["numbers"]}
    hrefs["Verdicts"] = next(href for bar, href in page.context["rows"] if bar.hour.total)
    expected: dict[str, set[Any]] = {
        "Due": {late.pk, later.pk},
        "Overdue": {later.pk},
        "Dead": {dead.pk},
        "Errors": {run.pk},
        "Verdicts": {verdict.pk},
    }
    for name, pks in expected.items():
        response = superuser.get(hrefs[name])
        assert response.status_code == 200, (name, hrefs[name])
        assert {row.pk for row in response.context["cl"].result_list} == pks, name
    oldest = superuser.get(hrefs["Oldest wait"]).context["cl"].result_list
    assert oldest[0].pk == later.pk


def test_many_rows_are_counted_up_to_a_number(
    superuser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting(timedelta(minutes=5))
    monkeypatch.setattr(context, "MAX_COUNTED", 0)
    assert numbers(front(superuser))["Due"] == "more than 0"


def test_verdicts_are_counted_by_hour_and_decision(superuser: Client) -> None:
    signal = make_signal()
    for decision in ("upgrade", "upgrade", "hold"):
        make_verdict(signal, decision=decision)
    old = make_verdict(signal, decision="downgrade")
    SignalEvent.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(days=1))
    hours = figures.read_hours(connection)
    assert len(hours) == figures.HOURS
    assert [hour.total for hour in hours][-2:].count(3) == 1  # unless the hour ends meanwhile
    assert sum(hour.total for hour in hours) == 3
    page = front(superuser)
    assert " UTC: 2 upgrade, 1 hold</title>" in page
    assert 'class="front-downgrade"></rect></svg>' in page  # in the legend alone
    assert page.count('class="front-downgrade"') == 1


def test_runs_are_listed_with_duration_and_host(superuser: Client) -> None:
    rules = VerificationRules.objects.create(sha256="e" * 64, text="windows: [60]")
    run = make_run()
    silent = make_run(
        outcome="running", finished_at=None, heartbeat_at=timezone.now() - timedelta(minutes=11)
    )
    page = front(superuser)
    assert f"/admin/signals/verificationrun/{run.pk}/change/" in page
    assert f"/admin/signals/verificationrules/{rules.pk}/change/" in page
    assert "90.0 s" in page
    assert "1,200" in page
    assert page.count("no sign of life") == 1
    assert page.index(str(run.pk)) < page.index(str(silent.pk))


def test_the_lag_of_a_chain_is_that_of_its_newest_measurement(superuser: Client) -> None:
    now = timezone.now()
    make_feature(chain="eth", as_of_ts=now - timedelta(hours=5))
    make_feature(chain="Ethereum", as_of_ts=now - timedelta(minutes=3))
    make_feature(chain="bsc", as_of_ts=now - timedelta(hours=3))
    found = superuser.get("/admin/").context["chains"]
    assert [(each["name"], each["is_behind"]) for each in found] == [
        ("bsc", True),
        ("ethereum", False),
    ]
    assert found[1]["age"] == "3\xa0minutes"


def test_times_and_counts_that_nobody_expects_are_shown(superuser: Client) -> None:
    for place, counts in enumerate((["x"], {"errors": ATTACK, "scanned": None}, {"errors": 1e400})):
        make_run(id=UUID(int=place + 1), counts=counts if place < 2 else {}, host=ATTACK)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO onchain_features (chain, address, as_of_ts, window_minutes) "
            "VALUES (%s, 'x', 'infinity', 60), ('bsc', 'x', '-infinity', 60)",
            [ATTACK],
        )
    make_feature(chain=ATTACK)
    page = front(superuser)
    assert ATTACK[:20] not in page
    assert numbers(page)["Errors"] == "0"


@pytest.mark.parametrize("permission", [*PARTS, "view_event"])
def test_a_part_is_shown_to_those_who_may_view_its_rows(staff: Staff, permission: str) -> None:
    make_run()
    make_feature()
    page = front(staff(permission))
    shown = [part for part in PARTS.values() if f'id="{part}"' in page]
    expected = [PARTS[permission]] if permission in PARTS else []
    if permission == "view_verificationrun":
        expected = ["front-job", "front-runs"]  # the errors are counted from the runs
        assert list(numbers(page)) == ["Errors"]
    assert shown == expected


def test_the_state_of_the_schema_is_that_of_its_last_reading(
    superuser: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cached_reading.tempfile, "tempdir", str(tmp_path))
    assert "Not read yet" in front(superuser)
    superuser.post("/admin/convergent_migrations/schema/")
    assert "No findings" in front(superuser)


@pytest.mark.parametrize("rows", [0, 30])
def test_it_costs_eight_queries_whatever_the_rows(staff: Staff, rows: int) -> None:
    client = staff(*PARTS, "view_verificationrules")
    for _ in range(rows):
        waiting(timedelta(minutes=5))
        make_run()
        make_feature(chain=f"chain{uuid4()}")
    with CaptureQueriesContext(connection) as queries:
        front(client)
    sent = [each["sql"] for each in queries if "SAVEPOINT" not in each["sql"]]
    assert len(sent) == 8  # the session, the account and its permissions, what it did last: five


def test_figures_that_take_too_long_are_left_out(
    superuser: Client, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    monkeypatch.setitem(figures._FIGURES, "due", "(SELECT 1 FROM pg_sleep(60))")
    settings.ADMIN_STATEMENT_TIMEOUT_MS = 200
    response = superuser.get("/admin/")
    assert response.status_code == 200
    assert "took too long to read" in response.content.decode()
    assert "/admin/signals/signal/" in response.content.decode()


def test_runs_and_rules_have_pages(superuser: Client) -> None:
    rules = VerificationRules.objects.create(sha256="e" * 64, text=f"windows: [60] # {ATTACK}")
    run = make_run(counts={"scanned": ATTACK}, error=ATTACK)
    make_verdict(make_signal(), run=run.pk)
    page = superuser.get(f"/admin/signals/verificationrun/{run.pk}/change/").content.decode()
    assert f"/admin/signals/verificationrules/{rules.pk}/change/" in page
    verdicts = superuser.get("/admin/signals/signalevent/", {"q": str(run.pk)})
    assert [row.run for row in verdicts.context["cl"].result_list] == [run.pk]
    text = superuser.get(f"/admin/signals/verificationrules/{rules.pk}/change/").content.decode()
    assert "windows: [60]" in text
    assert "icon-yes" in text
    assert ATTACK[:20] not in page + text
    for name, key in (("run", run.pk), ("rules", rules.sha256)):
        found = superuser.get(f"/admin/signals/verification{name}/", {"q": str(key)})
        assert len(found.context["cl"].result_list) == 1
        none = superuser.get(f"/admin/signals/verification{name}/", {"q": "nothing"})
        assert len(none.context["cl"].result_list) == 0
