# ruff: noqa: ARG002 - Django calls its hooks with all arguments, whether they are used or not
"""Related rows on the page of a signal or an event."""

from typing import Any, Final

from django.contrib import admin
from django.db import models
from django.forms import BaseInlineFormSet
from django.http import HttpRequest

from signals.admin.columns import json_column, number_column, readable_columns
from signals.models import Signal, SignalEvent, SignalVerification

MAX_INLINE_ROWS: Final = 50
"""Newest rows that a page shows of a related table."""


class NewestFormSet(BaseInlineFormSet):  # type: ignore[type-arg] # not subscriptable at run time
    """Show the first MAX_INLINE_ROWS rows in the inline's order."""

    def get_queryset(self) -> Any:
        if not hasattr(self, "_queryset"):
            self._queryset = super().get_queryset()[:MAX_INLINE_ROWS]
        return self._queryset


class ReadOnlyInline(admin.options.InlineModelAdmin):  # type: ignore[type-arg] # not subscriptable
    """Show related rows, each with a link to its page; none can be added, changed or deleted here."""

    formset = NewestFormSet
    extra = 0
    max_num = 0
    can_delete = False
    show_change_link = True

    def __init__(self, parent_model: type[models.Model], admin_site: admin.AdminSite) -> None:
        super().__init__(parent_model, admin_site)
        shown = readable_columns(self.model, self.readonly_fields)
        self.fields = self.readonly_fields = shown  # type: ignore[misc] # of the instance, as in base.py

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class VerdictInline(ReadOnlyInline, admin.TabularInline):  # type: ignore[type-arg] # the same
    model = SignalEvent
    verbose_name_plural = f"verdicts, the newest {MAX_INLINE_ROWS}"
    ordering = ("-id",)
    fields = readonly_fields = (
        *("created_at", "decision", "confidence", "previous_state", "new_state", "note"),
        json_column("features"),
    )


class VerificationInline(ReadOnlyInline, admin.TabularInline):  # type: ignore[type-arg] # the same
    model = SignalVerification
    verbose_name = "verification"
    fields = readonly_fields = (
        *("status", "outcome", "decision", "note", "checks", "attempts", "next_check_at"),
        *("updated_at", "error"),
    )


class SignalInline(ReadOnlyInline, admin.TabularInline):  # type: ignore[type-arg] # the same
    model = Signal
    verbose_name_plural = f"signals, the newest {MAX_INLINE_ROWS}"
    ordering = ("-ts", "-id")
    fields = readonly_fields = (
        *("ts", "state", "goplus_risk", "market_type", "advice_tag", "confidence"),
        number_column("onchain_confidence"),
    )
