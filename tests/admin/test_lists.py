"""The lists as a whole: their order, who sees them, and addresses that somebody made up."""

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from signals.models import Signal, SignalVerification
from tests.admin.conftest import Staff
from tests.admin.pages import MODELS, listed
from tests.admin.sample_rows import ATTACK, make_attack, make_signal, make_verification


@pytest.mark.parametrize("model", MODELS)
def test_an_empty_list_renders(viewer: Client, model: Any) -> None:
    assert listed(viewer, model) == []


def test_the_dead_are_listed_first(viewer: Client) -> None:
    waiting = make_verification(make_signal(), status="waiting", next_check_at=timezone.now())
    dead = make_verification(make_signal())
    settled = make_verification(make_signal(), status="settled")
    assert listed(viewer, SignalVerification) == [dead.pk, settled.pk, waiting.pk]


@pytest.mark.parametrize(
    "query",
    [
        *(
            "q=%00",
            "q=²",
            "q=" + "9" * 5000,
            "q=" + ATTACK.replace("+", ""),
            "q='",
            "q=%25",
            "q=\\",
        ),
        *("age=never", "state__exact=nonsense", "p=99999999", "p=x", "all=", "o=99", "o=-1.2"),
    ],
)
@pytest.mark.parametrize("model", MODELS)
def test_a_strange_address_is_answered(superuser: Client, model: Any, query: str) -> None:
    make_attack()
    response = superuser.get(f"/admin/signals/{model._meta.model_name}/?{query}", follow=True)
    assert response.status_code in (200, 400)


def test_somebody_without_permission_sees_no_list(staff: Staff) -> None:
    client = staff("view_event")
    assert client.get("/admin/signals/event/").status_code == 200
    for model in ("signal", "onchainfeature", "signalevent", "signalverification"):
        assert client.get(f"/admin/signals/{model}/").status_code == 403


def test_a_list_is_sorted_only_by_columns_with_an_index(viewer: Client) -> None:
    first, second = make_signal(advice_tag="a"), make_signal(advice_tag="b")
    columns = list(viewer.get("/admin/signals/signal/").context["cl"].list_display)
    newest_first = [second.pk, first.pk]
    assert listed(viewer, Signal, o=columns.index("advice_tag")) == newest_first
    assert listed(viewer, Signal, o=columns.index("id")) == newest_first[::-1]
