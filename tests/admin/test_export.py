"""The export of signals: its rows, its columns, its cells, and who may take it."""

import csv
import io
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from signals.admin.actions.cells import as_cell, as_json
from signals.models import Signal
from tests.admin.actions import start
from tests.admin.conftest import Staff
from tests.admin.sample_rows import ATTACK, make_attack, make_event, make_signal, make_verification

pytestmark = pytest.mark.django_db

EVERYTHING = ("view_signal", "view_event", "view_signalverification", "export_signals")


@pytest.fixture
def exporter(staff: Staff) -> Client:
    return staff(*EVERYTHING)


def content(response: Any) -> str:
    assert response.status_code == 200
    return b"".join(response.streaming_content).decode()


def rows_of(response: Any) -> list[dict[str, str]]:
    text = content(response)
    assert text.startswith("\ufeffid,")
    return list(csv.DictReader(io.StringIO(text[1:], newline="")))


def test_csv_has_the_selected_signals_and_is_a_download(exporter: Client) -> None:
    event = make_event(event_key="ethereum:0xabc", symbol="ПЕПЕ", token_ca=None)
    signal = make_signal(
        event=event, honeypot=True, topic_keywords=["a", "\u0431"], lp_lock_days=-3
    )
    make_verification(signal, error="it broke")
    make_signal()
    response = start(exporter, "export_csv", [signal])
    (row,) = rows_of(response)
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert response["Content-Disposition"].startswith('attachment; filename="signals-')
    wanted = {"id": str(signal.pk), "state": "candidate", "honeypot": "true", "lp_lock_days": "-3"}
    wanted |= {"event_key": "ethereum:0xabc", "symbol": "ПЕПЕ", "token_ca": ""}
    wanted |= {"topic_keywords": '["a", "\u0431"]', "verification_status": "dead"}
    assert {name: row[name] for name in wanted} == wanted


def test_json_has_one_object_a_line(exporter: Client) -> None:
    signal = make_signal(onchain_confidence=Decimal("0.800"), dex_liquidity=float("nan"))
    response = start(exporter, "export_jsonl", [signal])
    (line,) = content(response).splitlines()
    found = json.loads(line)
    assert response["Content-Type"] == "application/x-ndjson"
    assert (found["id"], found["onchain_confidence"], found["dex_liquidity"]) == (
        signal.pk,
        0.8,
        "NaN",
    )
    assert found["created_at"] == signal.created_at.astimezone(UTC).isoformat().replace(
        "+00:00", "Z"
    )
    assert found["buy_tax"] is None


@pytest.mark.parametrize("action", ["export_csv", "export_jsonl"])
def test_all_that_match_the_filter_come_newest_first_in_several_chunks(
    exporter: Client, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    monkeypatch.setattr("signals.admin.actions.export.CHUNK", 2)
    wanted = [make_signal(state="verified").pk for _ in range(5)]
    make_signal()
    response = start(exporter, action, across=True, filters="?state=verified")
    lines = content(response).splitlines()
    numbers = [
        int(line.removeprefix('{"id": ').partition(",")[0]) for line in lines if "verified" in line
    ]
    assert numbers == wanted[::-1]
    assert len(lines) == len(wanted) + (action == "export_csv")
    (entry,) = LogEntry.objects.all()
    name = "CSV" if action == "export_csv" else "JSON lines"
    text = f"Exported 5 signals as {name}: all that match state=verified"
    assert (entry.user.get_username(), entry.change_message) == ("analyst", text)


def test_columns_of_related_rows_need_the_right_to_view_them(staff: Staff) -> None:
    signal = make_signal()
    make_verification(signal)
    (row,) = rows_of(start(staff("view_signal", "export_signals"), "export_csv", [signal]))
    assert set(row) == {f.name for f in Signal._meta.fields} - {"event"}
    assert "PEPE" not in str(row)


@pytest.mark.parametrize("action", ["export_csv", "export_jsonl", "dry_run"])
def test_what_is_not_allowed_is_refused_to_a_direct_post(staff: Staff, action: str) -> None:
    needed = "reverify_signal" if action == "dry_run" else "export_signals"
    every = {"change_signal", "reverify_signal", "override_state", "export_signals", *EVERYTHING}
    client = staff(*(every - {needed}))
    signal = make_signal()
    assert start(client, action, [signal]).status_code == 403
    assert start(client, action, across=True).status_code == 403
    assert f'value="{action}"' not in client.get("/admin/signals/signal/").text
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize(
    "text",
    [
        *("=1+1", "+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "\u00a0=1", "\u3000=1"),
        *(
            "\uff1d1",
            "\uff0b1",
            "\uff0d1",
            "\uff20x",
            "\u200b=1",
            "\ufeff=1",
            "\x01=1",
            "\u202e@x",
            "\ufe661",
            "\tplain",
        ),
    ],
)
def test_a_text_that_begins_like_a_formula_is_defused(text: str) -> None:
    assert as_cell(text) == f"'{text}"
    assert as_json(text) == text


@pytest.mark.parametrize("text", ["plain", "1-1", "a=b", "", "'=1", '["=1"]', "\u20131"])
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert as_cell(text) == text


@pytest.mark.parametrize(
    ("value", "cell", "plain"),
    [
        (-1.5, "-1.5", -1.5),
        (-3, "-3", -3),
        (Decimal("-0.250"), "-0.25", -0.25),
        (float("-inf"), "-Infinity", "-Infinity"),
        (None, "", None),
        (False, "false", False),
        (datetime(2026, 3, 1, 12, tzinfo=UTC), "2026-03-01T12:00:00Z", "2026-03-01T12:00:00Z"),
        ({"a": ["=1"]}, '{"a": ["=1"]}', {"a": ["=1"]}),
    ],
)
def test_numbers_stay_numbers(value: Any, cell: str, plain: Any) -> None:
    assert (as_cell(value), as_json(value)) == (cell, plain)


def test_hostile_texts_come_back_from_the_file_as_they_are_stored(exporter: Client) -> None:
    signal = make_attack()
    Signal.objects.update(advice_tag='=cmd|"/c calc"!A1', market_type='a,"b"\r\nc')
    (row,) = rows_of(start(exporter, "export_csv", [signal]))
    assert row["advice_tag"] == '\'=cmd|"/c calc"!A1'
    assert row["market_type"] == 'a,"b"\r\nc'
    assert row["symbol"] == ATTACK
