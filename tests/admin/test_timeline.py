"""The timeline of a signal, and the history of any row."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.test import Client
from django.utils import timezone

from signals.admin.pages import timeline
from signals.admin.pages.timeline import Place, read_timeline
from signals.admin.pages.viewer import Viewer
from signals.models import VerificationRules, VerificationRun
from tests.admin.conftest import Staff
from tests.admin.pages import post, shown
from tests.admin.sample_rows import ATTACK, RUN, make_event, make_signal, make_verdict

SHA256 = "e" * 64


def log(row: Any, message: str, **fields: Any) -> LogEntry:
    user, _ = User.objects.get_or_create(username="chief")
    kind = ContentType.objects.get_for_model(type(row))
    return LogEntry.objects.create(
        user=user,
        content_type=kind,
        object_id=str(row.pk),
        object_repr=str(row),
        action_flag=CHANGE,
        change_message=message,
        **fields,
    )


def rows_of(text: str) -> list[str]:
    """Return the rows of the timeline as the words that are read, a space between the cells."""
    table = text.split('class="cards timeline"')[1].split("</table>", maxsplit=1)[0]
    rows = re.findall(r"<tr>(.*?)</tr>", table.split("<tbody>")[1], re.DOTALL)
    return [" ".join(re.sub(r"<[^>]+>", " ", row).split()) for row in rows]


def test_verdicts_and_changes_by_people_stand_together_the_newest_first(superuser: Client) -> None:
    now = timezone.now()
    signal = make_signal(advice_tag="watch")
    make_verdict(
        signal,
        decision="insufficient",
        new_state="candidate",
        note="feature_missing",
        metadata={"named": ["growth_ratio"]},
        created_at=now - timedelta(hours=3),
    )
    make_verdict(signal, created_at=now - timedelta(hours=2))
    assert post(superuser, signal, advice_tag="avoid").status_code == 302
    change, verdict, missing = rows_of(shown(superuser, signal).text)
    assert re.search(r"UTC \(0 s ago\) analyst Change Advice tag: watch → avoid", change)
    assert "(2 h ago) The job Verdict: upgrade candidate → verified growth_ratio 2.5" in verdict
    assert verdict.endswith("eeeeeeeeeeee 8d9b8f2e")
    assert "Verdict: insufficient candidate, as before Feature Missing: growth_ratio" in missing


def test_an_entry_links_to_its_verdict_rules_and_run(superuser: Client) -> None:
    signal = make_signal()
    verdict = make_verdict(signal)
    rules = VerificationRules.objects.create(sha256=SHA256, text="windows: [60]")
    now = timezone.now()
    VerificationRun.objects.create(
        id=RUN, started_at=now, heartbeat_at=now, host="h", pid=1, mode="on", rules_sha256=SHA256
    )
    text = shown(superuser, signal).text
    for page in (
        f"signalevent/{verdict.pk}",
        f"verificationrules/{rules.pk}",
        f"verificationrun/{RUN}",
    ):
        assert f'href="/admin/signals/{page}/change/"' in text


def test_rules_and_runs_that_are_gone_are_no_links(superuser: Client) -> None:
    signal = make_signal()
    make_verdict(signal)
    text = shown(superuser, signal).text
    assert "/verificationrun/8d" not in text
    assert ">8d9b8f2e<" in text


def test_an_action_is_told_once_with_its_person_and_reason(
    superuser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its row of signal_events and its entry in the log are one happening."""
    signal = make_signal(state="verified")
    verdict = make_verdict(signal)
    log(signal, f'[{{"changed": {{"fields": ["state"], "action": "{RUN}", "reason": "r"}}}}]')
    values = timeline.event_values

    def with_person(numbers: Any) -> list[dict[str, Any]]:
        by_person = {"type": "override", "person": "alice", "reason": "a trap", "decision": ""}
        return [row | by_person for row in values(numbers)]

    monkeypatch.setattr(timeline, "event_values", with_person)
    text = shown(superuser, signal).text
    (row,) = rows_of(text)
    assert "alice Override candidate → verified a trap" in row
    assert "Set by hand by alice: a trap." in text
    assert f'href="/admin/signals/signalevent/{verdict.pk}/change/"' in text


def test_a_viewer_without_verdicts_reads_an_action_in_the_log(staff: Staff) -> None:
    signal = make_signal()
    make_verdict(signal)
    log(
        signal,
        '[{"changed": {"fields": ["x"], "values": {"state": ["candidate", "verified"]},'
        ' "reason": "a trap", "action": "1"}}]',
    )
    (row,) = rows_of(shown(staff("view_signal"), signal).text)
    assert "chief Change candidate → verified a trap" in row


@pytest.mark.parametrize(
    "message",
    ["Exported.", "[", "[1]", '[{"changed": 3}]', '[{"changed": {"fields": [], "values": 3}}]'],
)
def test_a_message_of_another_form_is_shown_as_django_does(superuser: Client, message: str) -> None:
    signal = make_signal()
    log(signal, message)
    assert superuser.get(f"/admin/signals/signal/{signal.pk}/history/").status_code == 200


def test_the_page_of_a_signal_shows_the_newest_and_links_to_the_rest(superuser: Client) -> None:
    signal = make_signal()
    for _ in range(timeline.ON_A_PAGE + 1):
        make_verdict(signal)
    text = shown(superuser, signal).text
    assert len(rows_of(text)) == timeline.ON_A_PAGE
    assert f'<a href="/admin/signals/signal/{signal.pk}/history/">All that happened</a>' in text


def test_a_history_has_every_entry_once_page_after_page(
    superuser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signals.admin.base.IN_A_HISTORY", 3)
    signal, now = make_signal(), timezone.now()
    for number in reversed(range(5)):
        log(signal, f"note {number}", action_time=now - timedelta(hours=2 * number + 1))
        make_verdict(signal, created_at=now - timedelta(hours=2 * number))
    seen, address = [], ""
    for _ in range(4):
        text = superuser.get(f"/admin/signals/signal/{signal.pk}/history/{address}").text
        seen += rows_of(text)
        older = re.search(r'<a href="(\?[^"]+)">Older</a>', text)
        address = older[1].replace("&amp;", "&") if older else ""
        if not older:
            break
    assert len(seen) == len(set(seen)) == 10
    assert [("note" in row) for row in seen] == [False, True] * 5


@pytest.mark.django_db
def test_an_entry_with_a_later_number_and_an_earlier_time_is_not_lost() -> None:
    signal, now = make_signal(), timezone.now()
    for hours in (1, 0, 5, 2):  # in the order of their numbers
        make_verdict(signal, created_at=now - timedelta(hours=hours))
    viewer, place, numbers = Viewer(User(is_superuser=True, is_active=True)), Place(), []
    for _ in range(3):
        found = read_timeline(signal, viewer, 2, place)
        numbers += [entry.event for entry in found.entries]
        if found.rest is None:
            break
        place = found.rest
    assert len(set(numbers)) == len(numbers) == 4


@pytest.mark.parametrize("place", ["event=x", "event=-1", "log=99999999999999999999", "event=%00"])
def test_a_place_that_somebody_made_up_is_the_newest_end(superuser: Client, place: str) -> None:
    signal = make_signal()
    make_verdict(signal)
    text = superuser.get(f"/admin/signals/signal/{signal.pk}/history/?{place}").text
    assert len(rows_of(text)) == 1


def test_the_history_of_an_event_shows_old_and_new_values(superuser: Client) -> None:
    event = make_event(symbol="PEPE")
    post(superuser, event, symbol=ATTACK)
    text = superuser.get(f"/admin/signals/event/{event.pk.replace(':', '_3A')}/history/").text
    assert "<script>alert" not in text
    assert "Symbol: PEPE → &lt;script&gt;" in text


def test_a_history_is_for_those_who_may_view_the_row(staff: Staff) -> None:
    signal = make_signal()
    client = staff("view_signal")
    assert client.get(f"/admin/signals/signal/{signal.pk}/history/").status_code == 200
    assert signal.event is not None
    key = signal.event.pk.replace(":", "_3A")
    assert client.get(f"/admin/signals/event/{key}/history/").status_code == 403
    assert client.get("/admin/signals/signal/999/history/").status_code == 302
