"""Signals that somebody deleted in the database, behind Django's back."""

import pytest
from django.db import connection
from django.test import Client

from signals.models import Signal, SignalEvent, SignalVerification
from tests.admin.sample_rows import make_signal, make_verdict

pytestmark = pytest.mark.django_db


def test_verdicts_outlive_the_signal_and_the_pages_stand(superuser: Client) -> None:
    signal = make_signal()
    verdict = make_verdict(signal)
    SignalVerification.objects.create(signal=signal, status="dead", outcome="failed")
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM signals WHERE id = %s", [signal.pk])
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    assert not Signal.objects.exists()
    assert SignalEvent.objects.filter(pk=verdict.pk).exists()
    for model in ("signalevent", "signalverification"):
        assert superuser.get(f"/admin/signals/{model}/").status_code == 200
    for path in (f"signalevent/{verdict.pk}", f"signalverification/{signal.pk}"):
        assert superuser.get(f"/admin/signals/{path}/change/").status_code in (200, 302)
