"""The pages of a list, and their cost."""

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from signals.admin.lists import changelist, counts, reading
from signals.models import Event, OnchainFeature, Signal, SignalVerification
from tests.admin.pages import MODELS, listed
from tests.admin.sample_rows import (
    make_event,
    make_feature,
    make_one_of_each,
    make_signal,
    make_verification,
)

URL = "/admin/signals/{}/"


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of three rows, and a count that ends soon."""
    from django.contrib.admin import site

    for model in MODELS:
        monkeypatch.setattr(site.get_model_admin(model), "list_per_page", 3)
    monkeypatch.setattr(reading, "COUNTED", 5)


def pages_from(client: Client, model: Any, name: str, **filters: str) -> list[list[Any]]:
    """Return the rows of all pages, found by the links of that name from the first or the last page."""
    address = URL.format(model._meta.model_name)
    cl = client.get(address, filters | ({"last": "1"} if name == "Previous" else {})).context["cl"]
    found = [[row.pk for row in cl.result_list]]
    while url := {title: url for title, _, url in cl.pages()}[name]:
        cl = client.get(address + url).context["cl"]
        found.append([row.pk for row in cl.result_list])
        assert len(found) < 50
    return found


def make_rows(model: Any, number: int) -> list[Any]:
    """Create rows of the model, some at the same time, and return them from the newest to the oldest."""
    now = timezone.now()
    made = []
    for each in range(number):
        at = now - timedelta(minutes=each // 2)
        if model is Event:
            made.append((at, make_event(last_ts=at).pk))
        elif model is OnchainFeature:
            made.append((now, make_feature(as_of_ts=now - timedelta(seconds=each)).pk))
        else:
            signal = make_signal(state=("candidate", "verified", "downgraded")[each % 3])
            Signal.objects.filter(pk=signal.pk).update(created_at=at)
            status = ("settled", "dead")[each % 2]
            make_verification(signal, status=status, updated_at=at, margin=Decimal(each // 2))
            made.append((at, signal.pk))
    return [pk for _, pk in sorted(made, reverse=True)]


@pytest.mark.parametrize("model", [Signal, Event, OnchainFeature, SignalVerification])
@pytest.mark.parametrize("rows", [1, 3, 4, 10])
def test_the_pages_hold_every_row_once_from_either_end(
    viewer: Client, model: Any, rows: int, small_pages: None
) -> None:
    wanted = make_rows(model, rows)
    forwards = pages_from(viewer, model, "Next")
    assert [pk for page in forwards for pk in page] == wanted
    backwards = pages_from(viewer, model, "Previous")
    assert [pk for page in backwards[::-1] for pk in page] == wanted
    assert all(len(page) == 3 for page in (*forwards[:-1], *backwards[:-1]))


@pytest.mark.parametrize("order", ["margin", "-margin", "verdict", "-arrival"])
def test_so_do_the_pages_of_every_order(viewer: Client, order: str, small_pages: None) -> None:
    wanted = make_rows(Signal, 10)
    found = pages_from(viewer, Signal, "Next", order=order)
    assert sorted(pk for page in found for pk in page) == sorted(wanted)
    backwards = pages_from(viewer, Signal, "Previous", order=order)
    assert [pk for page in backwards[::-1] for pk in page] == [pk for page in found for pk in page]


def test_pages_say_which_rows_of_how_many_they_show(viewer: Client, small_pages: None) -> None:
    make_rows(Signal, 5)

    def spans(name: str) -> list[str]:
        last = {"last": "1"} if name == "Previous" else {}
        cl = viewer.get(URL.format("signal"), last).context["cl"]
        found = [cl.span()]
        while url := {title: url for title, _, url in cl.pages()}[name]:
            cl = viewer.get(URL.format("signal") + url).context["cl"]
            found.append(cl.span())
        return found

    assert spans("Next") == ["1 to 3 of 5 signals", "4 to 5 of 5 signals"]
    assert spans("Previous") == ["3 to 5 of 5 signals", "1 to 2 of 5 signals"]


def test_many_rows_are_counted_by_the_statistics(viewer: Client, small_pages: None) -> None:
    make_rows(Signal, 12)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE signals")
    assert "≈ 12 signals" in viewer.get(URL.format("signal")).text
    filtered = viewer.get(URL.format("signal"), {"state": "candidate"})
    assert "4 signals" in filtered.text
    assert "≈ 4" not in filtered.text


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "≈ 0"), (999, "≈ 999"), (12_345, "≈ 12,300"), (4_987_654, "≈ 4,990,000")],
)
def test_an_estimate_has_three_digits(number: int, text: str) -> None:
    assert counts.as_text(number, exact=False) == text
    assert counts.as_text(number, exact=True) == f"{number:,}"


def test_a_list_jumps_to_a_time(viewer: Client, small_pages: None) -> None:
    wanted = make_rows(Signal, 10)
    response = viewer.get(URL.format("signal"), {"at": "-90s"})
    assert response.status_code == 200
    assert "is no time" in response.text
    response = viewer.get(URL.format("signal"), {"at": "-2m"})
    assert [row.pk for row in response.context["cl"].result_list] == wanted[4:7]
    before = {name: url for name, _, url in response.context["cl"].pages()}["Previous"]
    assert listed_at(viewer, before) == wanted[1:4]
    assert listed(viewer, Signal, at="-2m", order="-arrival") == wanted[:4][::-1][:3]


def listed_at(client: Client, url: str) -> list[Any]:
    cl = client.get(URL.format("signal") + url).context["cl"]
    return [row.pk for row in cl.result_list]


def test_a_list_by_number_jumps_to_a_time(viewer: Client) -> None:
    now = timezone.now()
    made = []
    for number in range(9):
        feature = make_feature(as_of_ts=now - timedelta(seconds=number))
        at = now - timedelta(hours=8 - number)
        OnchainFeature.objects.filter(pk=feature.pk).update(created_at=at)
        made.append(feature.pk)
    OnchainFeature.objects.filter(pk=made[1]).delete()
    assert listed(viewer, OnchainFeature, at="-4h") == [made[4], made[3], made[2], made[0]]
    assert listed(viewer, OnchainFeature, at="-99d") == []
    later = (now + timedelta(days=1)).isoformat()
    assert len(listed(viewer, OnchainFeature, at=later)) == 8
    assert listed(viewer, OnchainFeature, at="-4h", order="-number") == made[5:]


@pytest.mark.parametrize("name", ["Next", "Previous"])
def test_filters_without_a_common_index_lead_on_through_the_rows(
    viewer: Client, monkeypatch: pytest.MonkeyPatch, small_pages: None, name: str
) -> None:
    monkeypatch.setattr(reading, "COUNTED", 1)
    monkeypatch.setattr(reading, "WINDOW", 4)
    monkeypatch.setattr(changelist, "WINDOW", 4)
    now = timezone.now()
    made = []
    for number in range(20):
        risk = "red" if number in (2, 3, 16, 17) else "green"
        signal = make_signal(state="verified", goplus_risk=risk)
        at = now - timedelta(minutes=number)
        Signal.objects.filter(pk=signal.pk).update(created_at=at)
        made += [signal.pk] if risk == "red" else []
    filters = {"state": "verified", "goplus_risk": "red"}
    response = viewer.get(URL.format("signal"), filters)
    assert "4 rows were looked through" in response.text
    assert "continue further on</a>" in response.text
    pages = pages_from(viewer, Signal, name, **filters)
    found = pages if name == "Next" else pages[::-1]
    assert [pk for page in found for pk in page] == made
    assert [] in pages


def test_a_filter_with_few_rows_needs_no_further_pages(viewer: Client) -> None:
    for number in range(30):
        make_signal(state="verified", goplus_risk="red" if number == 3 else "green")
    response = viewer.get(URL.format("signal"), {"state": "verified", "goplus_risk": "red"})
    assert response.context["cl"].span() == "1 signal"
    assert "looked through" not in response.text


@pytest.mark.parametrize("filters", [{}, {"last": "1"}])
@pytest.mark.parametrize("model", MODELS)
def test_a_list_costs_the_same_number_of_queries_for_2_rows_and_for_150(
    viewer: Client, model: Any, filters: dict[str, str]
) -> None:
    found = []
    for rows in (2, 148):
        for _ in range(rows):
            make_one_of_each()
        with CaptureQueriesContext(connection) as queries:
            shown = listed(viewer, model, **filters)
        found.append(len(queries))
    assert len(shown) == 100
    assert found[0] == found[1] <= 12


@pytest.mark.parametrize("model", MODELS)
def test_a_list_reads_its_rows_once_and_counts_none(viewer: Client, model: Any) -> None:
    make_one_of_each()
    with CaptureQueriesContext(connection) as queries:
        listed(viewer, model)
    table = model._meta.db_table
    ours = [q["sql"] for q in queries if f'FROM "{table}"' in q["sql"]]
    assert not [sql for sql in ours if re.search(r"\bcount\(", sql, re.IGNORECASE)]
    unbounded = [sql for sql in ours if " LIMIT " not in sql]
    (of_the_page,) = unbounded
    assert f'"{table}"."{model._meta.pk.column}" IN (' in of_the_page
