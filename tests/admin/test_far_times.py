"""Times that PostgreSQL holds and Python does not, on pages and in exports."""

import csv
import io
import json
from typing import Any

import pytest
from django.db import connection, models
from django.test import Client
from django.utils import timezone

from signals.admin.token import token_url
from signals.models import Event, OnchainFeature, Signal, SignalEvent, SignalVerification
from tests.admin.actions import start
from tests.admin.pages import MODELS, page_url
from tests.admin.sample_rows import make_one_of_each, make_signal
from tests.admin.test_paging import pages_from, small_pages  # noqa: F401 - a fixture

pytestmark = pytest.mark.django_db

FAR = {
    "infinity": "after the year 9999",
    "10000-01-01": "after the year 9999",
    "-infinity": "before the year 1",
    "0044-03-15 BC": "before the year 1",
}


def set_all_times(time: str, *changed: Any) -> None:
    """Set every time of the models' rows, of all rows that a pipeline or the job writes by default."""
    SignalVerification.objects.update(status="waiting", next_check_at=timezone.now())
    with connection.cursor() as cursor:
        for model in changed or MODELS:
            fields = model._meta.fields
            times = [f.column for f in fields if isinstance(f, models.DateTimeField)]
            times = [column for column in times if not column.startswith("leased")]
            changes = ", ".join(f'"{column}" = %s' for column in times)
            table = model._meta.db_table
            cursor.execute(f'UPDATE "{table}" SET {changes}', [time] * len(times))


def orders_by_time(client: Client, address: str) -> list[str]:
    orders = client.get(address).context["cl"].model_admin.orders
    return [order.name for order in orders if order.is_time]


@pytest.mark.parametrize("time", FAR)
def test_lists_show_far_times(superuser: Client, time: str) -> None:
    make_one_of_each()
    set_all_times(time)
    for model in MODELS:
        address = f"/admin/signals/{model._meta.model_name}/"
        for order in orders_by_time(superuser, address):
            response = superuser.get(address, {"order": order})
            assert (response.status_code, len(response.context["cl"].result_list)) == (200, 1)
        assert FAR[time] in superuser.get(address).text


@pytest.mark.parametrize("time", FAR)
def test_pages_show_far_times(superuser: Client, time: str) -> None:
    make_one_of_each()
    set_all_times(time)
    for model in MODELS:
        response = superuser.get(page_url(model, model._default_manager.only("pk").get().pk))
        assert response.status_code == 200
        assert FAR[time] in response.text
    feature: Any = OnchainFeature.objects.defer("as_of_ts", "created_at").get()
    for address in ("/admin/", token_url(feature.chain, feature.address)):
        assert superuser.get(address).status_code == 200


@pytest.mark.parametrize("model", [Signal, Event, SignalEvent, SignalVerification])
def test_pages_of_far_times_lead_to_every_row(
    superuser: Client,
    small_pages: None,  # noqa: F811 - the fixture
    model: Any,
) -> None:
    for _ in range(8):
        make_one_of_each()
    set_all_times("infinity", Signal, Event, SignalEvent, SignalVerification)
    rows = {row.pk for row in model._default_manager.only("pk")}
    assert len(rows) >= 8
    for order in orders_by_time(superuser, f"/admin/signals/{model._meta.model_name}/"):
        found = pages_from(superuser, model, "Next", order=order)
        assert {pk for page in found for pk in page} == rows


@pytest.mark.parametrize(
    ("time", "written"),
    [("infinity", "infinity"), ("10000-01-01", "infinity"), ("0044-03-15 BC", "-infinity")],
)
def test_an_export_writes_far_times(superuser: Client, time: str, written: str) -> None:
    signals = [make_signal(), make_signal()]
    set_all_times(time, Signal)
    text = b"".join(start(superuser, "export_csv", signals)).decode("utf-8-sig")
    assert [row["ts"] for row in csv.DictReader(io.StringIO(text))] == [written, written]
    lines = b"".join(start(superuser, "export_jsonl", signals)).splitlines()
    assert [json.loads(line)["ts"] for line in lines] == [written, written]
