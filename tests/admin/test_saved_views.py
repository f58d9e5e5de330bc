"""The views that a person saves."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from signals.models import SavedView
from tests.admin.conftest import Staff

LIST = "/admin/signals/signal/"
SAVE = f"{LIST}views/save/"
QUERY = "state=verified&time=verdict&from=-1h"


def test_a_list_with_filters_is_saved_under_a_name(viewer: Client) -> None:
    page = viewer.get(f"{LIST}?{QUERY}&after=&p=2")
    assert f'name="query" value="{QUERY.replace("&", "&amp;")}"' in page.text
    response = viewer.post(SAVE, {"name": " Just  verified ", "query": QUERY})
    assert response.headers["Location"] == f"{LIST}?{QUERY}"
    text = viewer.get(f"{LIST}?{QUERY}").text
    href = QUERY.replace("&", "&amp;")
    assert (
        f'<a href="?{href}" aria-current="page"><span aria-hidden="true">★</span> Just verified'
        in text
    )
    assert (
        f'<a href="?{href}"><span aria-hidden="true">★</span> Just verified'
        in viewer.get(LIST).text
    )
    assert "Just verified" not in viewer.get("/admin/signals/event/").text


def test_a_name_that_was_used_stands_for_the_newer_list(viewer: Client) -> None:
    for query in ("state=verified", "q=pepe&order=verdict"):
        viewer.post(SAVE, {"name": "Mine", "query": query})
    assert [view.query for view in SavedView.objects.all()] == ["q=pepe&order=verdict"]


@pytest.mark.parametrize(
    ("sent", "saved"),
    [
        ("state=verified&after=abc&last=1&at=-1h&p=7&_popup=1", "state=verified"),
        ("state=verified&event__token_ca__regex=(((&o=1&x=", "state=verified"),
        ("state=%22%3E%3Cscript%3E", "state=%22%3E%3Cscript%3E"),
        ("state=verified#//example.com", "state=verified%23%2F%2Fexample.com"),
        ("state=a%00b&note=hold", "note=hold"),
    ],
)
def test_only_parameters_of_the_list_are_saved(viewer: Client, sent: str, saved: str) -> None:
    viewer.post(SAVE, {"name": "Mine", "query": sent})
    assert SavedView.objects.get().query == saved
    assert "<script>" not in viewer.get(LIST).text


@pytest.mark.parametrize(
    "data",
    [
        {"name": "", "query": QUERY},
        {"name": " \0 ", "query": QUERY},
        {"name": "Mine", "query": ""},
        {"name": "Mine", "query": "p=1"},
        {"name": "Mine", "query": f"q={'%C3%BC' * 400}"},
        {"name": "Mine"},
        {},
    ],
)
def test_a_view_without_a_name_or_a_list_is_not_saved(viewer: Client, data: Any) -> None:
    response = viewer.post(SAVE, data, follow=True)
    assert response.status_code == 200
    assert 'class="error"' in response.text
    assert not SavedView.objects.exists()


def test_a_person_sees_and_deletes_only_own_views(viewer: Client) -> None:
    chief = User.objects.create_superuser("chief")
    other = SavedView.objects.create(person=chief, list="signal", name="Of the chief", query="q=1")
    viewer.post(SAVE, {"name": "Mine", "query": QUERY})
    own = SavedView.objects.get(name="Mine")
    assert "Of the chief" not in viewer.get(LIST).text
    for view in (other, own):
        viewer.post(f"{LIST}views/{view.pk}/delete/", {"query": "state=verified"})
    assert list(SavedView.objects.all()) == [other]
    assert viewer.post(f"{LIST}views/{2**70}/delete/").status_code == 302


def test_a_person_has_a_bounded_number_of_views(viewer: Client) -> None:
    person = User.objects.get()
    SavedView.objects.bulk_create(
        SavedView(person=person, list="signal", name=f"{n}", query="q=1") for n in range(30)
    )
    viewer.post(SAVE, {"name": "one more", "query": QUERY})
    assert SavedView.objects.count() == 30
    viewer.post(SAVE, {"name": "29", "query": QUERY})
    assert SavedView.objects.get(name="29").query == QUERY


def test_views_are_saved_by_post_with_a_token_and_the_permission(
    staff: Staff, viewer: Client
) -> None:
    assert viewer.get(SAVE).status_code == 405
    careful = Client(enforce_csrf_checks=True)
    careful.force_login(User.objects.get())
    assert careful.post(SAVE, {"name": "Mine", "query": QUERY}).status_code == 403
    User.objects.get().user_permissions.clear()
    assert viewer.post(SAVE, {"name": "Mine", "query": QUERY}).status_code == 403
    assert viewer.post(f"{LIST}views/1/delete/").status_code == 403
    assert Client().post(SAVE, {"name": "Mine", "query": QUERY}).status_code == 302
    assert not SavedView.objects.exists()
