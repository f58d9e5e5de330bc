"""The explanation of the last verdict on a signal's page."""

from decimal import Decimal

import pytest
from django.test import Client

from signals.models import Signal
from signals.verification.job import verify_signals
from tests.admin.conftest import Staff
from tests.admin.pages import shown
from tests.verification import sample_rows as job_rows

DOWN = "Downgraded for top10_share &gt;= 0.70 (is 0.9) and self_loop_ratio &gt;= 0.20 (is 0.5)"


def verified_by_the_job() -> Signal:
    signal = job_rows.make_signal()
    verify_signals(now=job_rows.NOW)
    return signal


@pytest.mark.parametrize(
    ("mode", "end"), [("on", "."), ("off", "; the state stays, because the rules")]
)
def test_a_downgrade_is_explained_by_its_conditions(
    viewer: Client, monkeypatch: pytest.MonkeyPatch, mode: str, end: str
) -> None:
    monkeypatch.setenv("ONCHAIN_RULES", mode)
    job_rows.make_downgradable()
    text = shown(viewer, verified_by_the_job()).text
    assert f"{DOWN}{end}" in text
    assert '<code>top10_share &gt;= 0.70</code></td><td data-label="Value">0.9</td>' in text
    assert '+0.20</td><td data-label="Result">✓ holds</td>' in text
    assert "<li>upgrade: " in text


def test_a_held_signal_says_what_it_lacks(viewer: Client) -> None:
    job_rows.make_population()
    job_rows.make_features(growth_ratio=Decimal("1.5"))
    text = shown(viewer, verified_by_the_job()).text
    assert "to upgrade it lacks growth_ratio &gt;= 2.0 (is 1.5)" in text


def test_a_signal_without_evidence_and_one_without_a_check_say_so(viewer: Client) -> None:
    assert "No run has checked this signal yet." in shown(viewer, job_rows.make_signal()).text
    assert (
        "Not decided: its token was not measured yet." in shown(viewer, verified_by_the_job()).text
    )


def test_a_wrong_setting_is_told_on_the_page(
    viewer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    signal = verified_by_the_job()
    monkeypatch.setenv("ONCHAIN_CHAIN_ALIASES", "nonsense")
    assert "The verdict cannot be explained: ONCHAIN_CHAIN_ALIASES" in shown(viewer, signal).text


def test_who_may_not_view_verdicts_gets_no_explanation(staff: Staff) -> None:
    client = staff("view_signal")
    assert "explanation-title" not in shown(client, verified_by_the_job()).text
    assert client.get("/admin/signals/signal/99999999999999999999/change/").status_code == 302
