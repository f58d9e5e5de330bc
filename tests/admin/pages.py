"""The lists and pages as a client gets them, and their forms as it sends them back."""

from typing import Any

from django.contrib.admin.utils import quote
from django.db import models
from django.test import Client

from signals.models import Event, OnchainFeature, Signal, SignalEvent, SignalVerification

MODELS = (Signal, Event, OnchainFeature, SignalEvent, SignalVerification)


def listed(client: Client, model: Any, **parameters: Any) -> list[Any]:
    """Return the primary keys of the rows that the list of a model shows."""
    response = client.get(f"/admin/signals/{model._meta.model_name}/", parameters)
    assert response.status_code == 200, response.headers
    return [row.pk for row in response.context["cl"].result_list]


def page_url(model: Any, pk: Any) -> str:
    return f"/admin/signals/{model._meta.model_name}/{quote(pk)}/change/"


def shown(client: Client, row: models.Model) -> Any:
    """Return the response with the row's page."""
    response = client.get(page_url(type(row), row.pk))
    assert response.status_code == 200
    return response


def inputs(response: Any) -> set[str]:
    """Return the names of the fields that the page lets be changed."""
    return set(response.context["adminform"].form.fields)


def post(client: Client, row: models.Model, **changed: Any) -> Any:
    """Send the form of the row's page back, with some values changed."""
    context = shown(client, row).context
    form = context["adminform"].form
    data = {f.html_name: f.value() or "" for f in form}
    data |= {f.html_initial_name: f.value() or "" for f in form if f.field.show_hidden_initial}
    for formset in context["inline_admin_formsets"]:
        management = formset.formset.management_form
        data |= {field.html_name: field.value() for field in management}
    return client.post(page_url(type(row), row.pk), data | changed)
