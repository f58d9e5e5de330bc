"""The related rows on a page."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from signals.admin import inlines
from signals.models import Event, Signal
from tests.admin.conftest import Staff
from tests.admin.pages import shown
from tests.admin.sample_rows import make_event, make_signal, make_verdict, make_verification


def test_a_signal_shows_its_verdicts_newest_first_and_what_the_job_remembers(
    viewer: Client,
) -> None:
    signal = make_signal()
    first, second = make_verdict(signal), make_verdict(signal, decision="hold")
    make_verification(signal, error="it broke on a Sunday")
    response = shown(viewer, signal)
    verdicts = response.context["inline_admin_formsets"][1].formset
    assert [form.instance for form in verdicts.initial_forms] == [second, first]
    assert "it broke on a Sunday" in response.text


def test_an_event_shows_its_newest_signals(viewer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inlines, "MAX_INLINE_ROWS", 2)
    event = make_event()
    signals = [make_signal(event=event) for _ in range(3)]
    formset = shown(viewer, event).context["inline_admin_formsets"][0].formset
    assert [form.instance for form in formset.initial_forms] == signals[:0:-1]


@pytest.mark.parametrize("model", [Event, Signal])
def test_a_page_costs_the_same_number_of_queries_for_2_related_rows_and_for_50(
    superuser: Client, model: Any
) -> None:
    signal = make_signal()
    row = signal.event if model is Event else signal
    counts = []
    for rows in (2, 48):
        for _ in range(rows):
            make_verdict(signal)
            make_signal(event=signal.event)
        with CaptureQueriesContext(connection) as queries:
            shown(superuser, row)
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 8


def test_a_viewer_of_signals_alone_sees_no_verdicts(staff: Staff) -> None:
    signal = make_signal()
    make_verdict(signal)
    response = shown(staff("view_signal"), signal)
    assert response.context["inline_admin_formsets"] == []
