"""The read-only fields of a row's page: what they hold, linked to what it belongs to."""

from collections.abc import Callable, Iterable
from typing import Any, Final

from django.contrib import admin
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.html import conditional_escape

from signals.admin.columns import EMPTY_VALUE, json_column, text_column
from signals.admin.pages.values import number_shown, state_shown, time_shown
from signals.admin.pages.viewer import Viewer
from signals.choices import SignalState
from signals.models import VerificationRun

NOT_SHOWN: Final = "Not shown: needs the permission to view events"
"""What stands in place of an event's key."""


def page_fields(
    model: type[models.Model],
    names: Iterable[Any],
    viewer: Viewer,
    *,
    changeable: Iterable[str] = (),
    hidden: Iterable[str] = (),
) -> tuple[Any, ...]:
    """Return the fields of a page: names for those that the form changes, and columns for the others."""
    changed, kept_back = set(changeable), set(hidden)
    return tuple(
        name
        if name in changed or not isinstance(name, str)
        else _column(name, lambda _: NOT_SHOWN)
        if name in kept_back
        else _page_field(model, name, viewer)
        for name in names
    )


def has_whole_text(field: Any) -> bool:
    """Return whether a page may show the beginning only of the field's value."""
    texts = (models.TextField, models.CharField, ArrayField, models.JSONField)
    return isinstance(field, texts) and not field.choices


def _page_field(model: type[models.Model], name: str, viewer: Viewer) -> Any:
    field: Any = model._meta.get_field(name)
    if field.is_relation:
        return _column(name, _relation(field, viewer))
    if isinstance(field, models.JSONField):
        return json_column(name)
    if field.choices:
        return _column(name, _choice(field))
    if isinstance(field, models.TextField | models.CharField | ArrayField):
        return text_column(name)
    return _column(name, _value(field, viewer))


def _relation(field: Any, viewer: Viewer) -> Callable[[Any], Any]:
    """Return a column that links to the row that is referred to, which may have been deleted in SQL."""
    model = field.remote_field.model

    def show(row: Any) -> Any:
        pk = getattr(row, field.attname)
        if pk is None:
            return EMPTY_VALUE
        text = (
            f"{model._meta.verbose_name} {pk}"
            if field.name == "signal"
            else getattr(row, field.name)
        )
        return viewer.link(model, pk, text or EMPTY_VALUE)

    return show


def _choice(field: Any) -> Callable[[Any], Any]:
    def show(row: Any) -> Any:
        value = getattr(row, field.name)
        if value in (None, ""):
            return EMPTY_VALUE
        if field.choices == SignalState.choices:
            return state_shown(value)
        return dict(field.flatchoices).get(value, value)

    return show


def _value(field: Any, viewer: Viewer) -> Callable[[Any], Any]:
    show: dict[type[Any], Callable[[Any], Any]] = {
        models.AutoField: str,
        models.DateTimeField: time_shown,
        models.BooleanField: lambda value: (
            EMPTY_VALUE if value is None else "Yes" if value else "No"
        ),
        models.DecimalField: number_shown,
        models.FloatField: number_shown,
        models.IntegerField: number_shown,
        models.UUIDField: lambda value: _run(field, value, viewer),
    }
    shown = next(how for kind, how in show.items() if isinstance(field, kind))
    return lambda row: conditional_escape(shown(getattr(row, field.name)))


def _run(field: Any, run: Any, viewer: Viewer) -> Any:
    if run is None:
        return EMPTY_VALUE
    return run if field.primary_key else viewer.link(VerificationRun, run, run)


def _column(name: str, show: Callable[[Any], Any]) -> Any:
    show.__name__ = name
    return admin.display(show, description=name.replace("_", " "))
