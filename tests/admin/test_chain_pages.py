"""The pages of what pull_features has read, and of the signal that was judged by it."""

import pytest
from django.contrib.admin import site
from django.contrib.admin.utils import flatten
from django.test import Client
from django.utils import timezone

from signals.chain_models import ChainCursor, ChainState
from signals.models import OnchainFeature
from signals.verification.job import verify_signals
from tests.admin.pages import shown
from tests.verification.sample_rows import ADDRESS, NOW, make_signal, make_upgradable

pytestmark = pytest.mark.django_db

ATTACK = "<script>alert(1)</script>\u202e"


@pytest.fixture
def cursor() -> ChainCursor:
    ChainState.objects.create(
        chain="ethereum",
        chain_id=1,
        head=21_000_012,
        confirmed=21_000_000,
        head_at=timezone.now(),
        logs=1234,
        error=ATTACK,
    )
    return ChainCursor.objects.create(
        chain="ethereum",
        address=ADDRESS,
        first_block=20_000_000,
        block=21_000_000,
        hash="0x" + 64 * "c",
        block_at=timezone.now(),
        attempts=3,
        error=ATTACK,
    )


@pytest.mark.parametrize("model", [ChainCursor, ChainState])
def test_a_page_has_every_column(model: type) -> None:
    registered = site.get_model_admin(model)
    names = flatten([name for _, options in registered.fieldsets for name in options["fields"]])
    assert sorted(names) == sorted(field.name for field in model._meta.fields)


def test_the_lists_say_how_far_tokens_and_chains_are(
    superuser: Client, cursor: ChainCursor
) -> None:
    page = superuser.get("/admin/signals/chaincursor/").content.decode()
    for text in ("From block 20,000,000", "21,000,000", "failed 3 times", "&lt;script&gt;"):
        assert text in page
    assert ATTACK not in page
    page = superuser.get("/admin/signals/chainstate/").content.decode()
    for text in ("21,000,012", "1,234", "&lt;script&gt;"):
        assert text in page
    assert ATTACK not in page


@pytest.mark.parametrize("query", [ADDRESS, f"eth:{ADDRESS.upper().replace('0X', '0x')}", "number"])
def test_a_token_is_found(superuser: Client, cursor: ChainCursor, query: str) -> None:
    ChainCursor.objects.create(chain="bsc", address="0x" + 40 * "d", first_block=0, block=-1)
    assert superuser.get("/admin/signals/chainstate/", {"q": "ethereum"}).context["cl"].result_list
    query = str(cursor.pk) if query == "number" else query
    page = superuser.get("/admin/signals/chaincursor/", {"q": query}).content.decode()
    assert "From block 20,000,000" in page
    assert "Whole" not in page


def test_the_pages_of_rows_open_and_change_nothing(superuser: Client, cursor: ChainCursor) -> None:
    for address, title in (
        (f"/admin/signals/chaincursor/{cursor.pk}/change/", f"Ethereum:{ADDRESS} at 21000000"),
        ("/admin/signals/chainstate/ethereum/change/", "Chain ethereum"),
    ):
        page = superuser.get(address)
        assert page.status_code == 200
        assert title in page.content.decode()
        assert ATTACK not in page.content.decode()
        assert superuser.post(address, {"error": ""}).status_code == 403


def test_the_page_of_a_signal_names_the_blocks(
    superuser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONCHAIN_RULES", "on")
    make_upgradable()
    OnchainFeature.objects.filter(address=ADDRESS).update(
        from_block=100, to_block=164, block_hash="0x" + 64 * "c"
    )
    signal = make_signal()
    verify_signals(now=NOW)
    page = shown(superuser, signal).content.decode()
    assert f"100 to 164, whose hash is 0x{64 * 'c'}" in page
