"""The course of a token's features: what is read, and how it is drawn."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from signals.admin.pages.measurements import PERIODS, Measurement, measurements_of
from signals.admin.pages.sparklines import HEIGHT, PLOTTED, WIDTH, Sparkline, sparkline
from signals.admin.token import token_url
from tests.admin.pages import shown
from tests.admin.sample_rows import ADDRESS, make_event, make_feature, make_signal

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY, WEEK = PERIODS
SHARE = PLOTTED[2]
MINUTE = timedelta(minutes=1)


def drawn(*values: tuple[int, Any]) -> Sparkline:
    """Draw shares of the last day, each with its age in minutes; the oldest comes first."""
    rows = [
        Measurement(
            n,
            NOW - age * MINUTE,
            60,
            1,
            1,
            None if value is None else Decimal(value),
            None,
            2,
            None,
        )
        for n, (age, value) in enumerate(values)
    ]
    return sparkline(SHARE, rows, DAY, NOW)


def places(line: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in line.split())]


def test_a_line_goes_from_left_to_right_and_the_greater_value_is_higher() -> None:
    found = drawn((30, "0.1"), (20, "0.9"), (10, "0.5"))
    (line,) = map(places, found.lines)
    assert [x for x, _ in line] == sorted(x for x, _ in line)
    assert line[1][1] < line[2][1] < line[0][1]
    assert found.dots == (tuple(found.lines[0].split()[-1].split(",")),)
    assert dict(found.numbers) == {"first": "0.1", "last": "0.5", "min": "0.1", "max": "0.9"}


def test_a_gap_divides_the_line_and_a_missing_value_is_no_zero() -> None:
    found = drawn((300, "1"), (290, "2"), (100, None), (20, "3"), (10, None), (0, "4"))
    assert [len(places(line)) for line in found.lines] == [2, 2]
    assert dict(found.numbers)["min"] == "1"


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "sNaN"])
def test_a_value_that_is_no_number_is_left_out_and_counted(value: str) -> None:
    found = drawn((30, "1"), (20, value), (10, "2"))
    assert found.left_out == 1
    assert dict(found.numbers) == {"first": "1", "last": "2", "min": "1", "max": "2"}


@pytest.mark.parametrize(
    "values",
    [
        ("1E+131000", "-1E+131000", "5"),
        ("1E-16000", "2E-16000", "0"),
        ("7", "7", "7"),
        ("0.1", "0.1000000000000000000000000000000000001", "0.1"),
    ],
)
def test_numbers_of_any_size_stay_within_the_drawing(values: tuple[str, ...]) -> None:
    found = drawn(*((30 - 10 * n, value) for n, value in enumerate(values)))
    for x, y in places(found.lines[0]):
        assert 0 <= x <= WIDTH
        assert 0 <= y <= HEIGHT
    assert all(len(text) <= 20 for _, text in found.numbers)


def test_one_value_is_a_dot_and_none_is_nothing() -> None:
    alone = drawn((10, "3"))
    assert (alone.lines, len(alone.dots)) == ((), 1)
    nothing = drawn((10, None))
    assert (nothing.lines, nothing.dots, nothing.numbers, nothing.left_out) == ((), (), (), 0)


@pytest.mark.django_db
def test_growth_has_one_unit_whatever_the_version_of_the_collector() -> None:
    now = timezone.now()
    for minutes, version, growth in ((30, 1, "0.5"), (20, 2, "1.5"), (10, 3, "9")):
        make_feature(
            as_of_ts=now - minutes * MINUTE, calc_version=version, growth_ratio=Decimal(growth)
        )
    rows = measurements_of(["ethereum"], ADDRESS.lower(), DAY, now)
    assert [row.growth for row in rows] == [Decimal("1.5"), Decimal("1.5"), None]


@pytest.mark.django_db
def test_each_slot_has_its_newest_measurement_of_any_spelling_over_60_minutes() -> None:
    now = timezone.now()
    for minutes in range(9):
        make_feature(as_of_ts=now - minutes * MINUTE, addr_active=minutes)
    make_feature(chain="Ethereum", as_of_ts=now + MINUTE, addr_active=100)
    make_feature(as_of_ts=now + MINUTE, window_minutes=30)
    make_feature(as_of_ts=now + timedelta(hours=1), addr_active=101)
    make_feature(as_of_ts=now - timedelta(days=8))
    of = (["Ethereum", "ethereum"], ADDRESS.lower())
    active = [row.addr_active for row in measurements_of(*of, DAY, now)]
    assert active == [8, 100]
    assert [row.addr_active for row in measurements_of(*of, WEEK, now)] == [100]


@pytest.mark.django_db
def test_hostile_numbers_have_a_page(superuser: Client) -> None:
    now = timezone.now()
    for minutes in (10, 20, 30):
        make_feature(as_of_ts=now - minutes * MINUTE, top10_share=Decimal("0.5"))
    with connection.cursor() as cursor:  # Django's field refuses what the column allows
        cursor.execute(
            "UPDATE onchain_features SET growth_ratio = 'NaN', self_loop_ratio = 'Infinity',"
            " top10_share = top10_share * 1e4000, addr_active = 2147483647"
        )
    signal = make_signal(event=make_event(event_key=f"eth:{ADDRESS}"))
    for text in (shown(superuser, signal).text, superuser.get(token_url("eth", ADDRESS)).text):
        assert "3 values left out: not a finite number" in text
        assert "5.000E+3999" in text
        assert "2,147,483,647" in text
        assert len(text) < 60_000
    feature = superuser.get("/admin/signals/onchainfeature/").context["cl"].result_list[0]
    assert "5.000000E+3999" in shown(superuser, feature).text


@pytest.mark.django_db
def test_the_drawing_has_its_numbers_in_words(superuser: Client) -> None:
    for minutes, active in ((600, 7), (10, 1234)):
        make_feature(as_of_ts=timezone.now() - minutes * MINUTE, addr_active=active)
    text = superuser.get(token_url("eth", ADDRESS)).text
    row = text.split('<th scope="row">Active addresses</th>')[1].split("</tr>")[0]
    assert 'aria-hidden="true"' in row
    words = " ".join(re.sub(r"<[^>]+>", " ", row).split())
    assert words == " ".join(2 * ["first 7 last 1,234 min 7 max 1,234"])
