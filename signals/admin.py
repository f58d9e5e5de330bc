# ruff: noqa: ARG002 - Django's hooks have one signature each
"""The admin's pages for analysts: what the pipelines wrote is read, and little of it can be changed.

The tables have millions of rows. Counts are bounded; every order has an index, and every search but
the one for an address. A filter without an index reads far only if it matches little. What comes from
posts is text.
"""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any, ClassVar, Final, cast
from uuid import UUID

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import quote
from django.contrib.admin.widgets import AdminTextInputWidget
from django.core.paginator import Paginator
from django.db import models
from django.db.models import Q, QuerySet
from django.forms import BaseInlineFormSet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.timesince import timesince
from django_extensions.db.fields import ModificationDateTimeField

from signals.choices import SignalState
from signals.fields import GoplusRisk
from signals.models import Event, OnchainFeature, Signal, SignalEvent, SignalVerification
from signals.verification.tokens import EVM_CHAINS

COUNTED: Final = 10_000
"""Rows that a list counts and has pages for; what is beyond is found by a filter or a search."""
SAMPLED: Final = 1_000
"""Newest rows whose values a filter offers."""
INLINE: Final = 50
"""Newest rows that a page shows of a related table."""
EMPTY: Final = "-"
"""Stands where nothing is, as on Django's own pages."""

_ADDRESS: Final = re.compile(
    r"(?:[A-Za-z][\w-]{0,49}:)?(0x[0-9A-Fa-f]{40}|[1-9A-HJ-NP-Za-km-z]{26,})"
)
_AGES: Final = {
    "hour": ("Past hour", timedelta(hours=1)),
    "day": ("Past 24 hours", timedelta(days=1)),
    "week": ("Past 7 days", timedelta(days=7)),
    "month": ("Past 30 days", timedelta(days=30)),
}


# Columns: each returns a function of the row, named after what it shows; Any, because the stubs
# know such functions in some of the places only that take them.


def _column(name: str, show: Callable[[Any], Any]) -> Any:
    show.__name__ = name
    return admin.display(show, description=name.replace("_", " "))


def plain(field: str) -> Any:
    """A number as it is stored; Django's own formatting fails on a NaN."""

    def show(row: Any) -> str:
        value = getattr(row, field)
        return EMPTY if value is None else format(value, "f")

    return _column(field, show)


def short(field: str) -> Any:
    """The beginning of a text."""

    def show(row: Any) -> str:
        return Truncator(getattr(row, field) or EMPTY).chars(60)

    return _column(field, show)


def outer(field: str) -> Any:
    """A key or an address without its middle; all of it is a tooltip."""

    def show(row: Any) -> str:
        value = getattr(row, field)
        return format_html('<span title="{}">{}</span>', value, _without_middle(value))

    return _column(field, show)


def pretty(field: str) -> Any:
    """A JSON value over several lines."""

    def show(row: Any) -> str:
        value = getattr(row, field)
        if value is None:
            return EMPTY
        text = json.dumps(value, indent=2, ensure_ascii=False)
        return format_html("<pre>{}</pre>", text)

    return _column(field, show)


def age(field: str) -> Any:
    """How long ago that was; the time itself is a tooltip."""

    def show(row: Any) -> str:
        value = getattr(row, field)
        if value is None:
            return EMPTY
        return format_html(
            '<time datetime="{}" title="{}">{}</time>',
            value.isoformat(),
            f"{value:%Y-%m-%d %H:%M:%S %Z}",
            timesince(value, depth=1),
        )

    return _column("age", show)


def _signal(row: Any) -> SafeString:
    """The signal's number, without reading the signal."""
    return _link(Signal, row.signal_id, str(row.signal_id))


signal = _column("signal", _signal)
number = _column("signal", lambda row: row.signal_id)


def _token(row: Signal) -> str:
    """The event's symbol, or else its key."""
    if row.event is None:
        return EMPTY
    return _link(Event, row.event.pk, row.event.symbol or _without_middle(row.event.pk))


token = _column("token", _token)


def _without_middle(text: str) -> str:
    return re.sub(r"(?s)^(.{17}).{2,}(.{12})$", r"\1…\2", text)


def _link(model: type[models.Model], pk: Any, text: str) -> SafeString:
    url = reverse(
        f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=[quote(pk)]
    )
    return format_html('<a href="{}">{}</a>', url, text)


# Filters


def age_filter(field: str, **indexed: Any) -> type[admin.SimpleListFilter]:
    """Rows of the last hour, day, week or month, or older ones.

    `indexed` is a condition that every row meets and that lets an index serve the filter.
    """

    class AgeFilter(admin.SimpleListFilter):
        title = "age"
        parameter_name = "age"

        def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
            return [*((key, title) for key, (title, _) in _AGES.items()), ("older", "Older")]

        def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
            value = self.value()
            if value in _AGES:
                since = timezone.now() - _AGES[value][1]
                return queryset.filter(**{f"{field}__gte": since}, **indexed)
            if value == "older":
                before = timezone.now() - _AGES["month"][1]
                return queryset.filter(**{f"{field}__lt": before}, **indexed)
            return queryset

    return AgeFilter


def recent_values(field: str) -> type[admin.SimpleListFilter]:
    """The values that the newest rows have; DISTINCT over the table would read all of it."""

    class RecentValues(admin.SimpleListFilter):
        title = field.replace("_", " ")
        parameter_name = field

        def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
            newest = model_admin.model._default_manager.order_by(*model_admin.ordering)
            values = {self.value(), *newest.values_list(field, flat=True)[:SAMPLED]}
            return [(value, value) for value in sorted(filter(None, values))]

        def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
            value = self.value()
            if value and "\0" in value:
                raise IncorrectLookupParameters
            return queryset.filter(**{field: value}) if value else queryset

    return RecentValues


class WindowFilter(admin.SimpleListFilter):
    """The windows that check_window_minutes allows."""

    title = "window"
    parameter_name = "window"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(str(minutes), f"{minutes} min") for minutes in (30, 60, 180)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        return queryset.filter(window_minutes=value) if value in ("30", "60", "180") else queryset


# Searches: each returns the keys of the rows that one word finds. A union of indexed conditions
# stays indexed; the same conditions joined by OR would read the whole table.


def _number(word: str) -> int:
    """The primary key that the word is; if it is none, one that no row has."""
    return int(word) if re.fullmatch(r"[0-9]{1,18}", word) else -1


def find_events(word: str) -> QuerySet[Any]:
    """By key, symbol (in capitals or as typed, with or without $), topic, or the token's address."""
    rows = Event.objects.order_by().values("pk")
    symbol = word.removeprefix("$")
    found = [
        rows.filter(symbol__in={symbol, symbol.upper(), symbol.lower()}),
        rows.filter(topic_hash=word),
    ]
    if match := _ADDRESS.match(word):
        found.append(rows.filter(Q(token_ca__icontains=match[1]) | Q(pk__icontains=match[1])))
    return rows.filter(pk=word).union(*found)


def find_signals(word: str) -> QuerySet[Any]:
    """By number, topic, or event."""
    rows = Signal.objects.order_by().values("pk")
    return rows.filter(pk=_number(word)).union(
        rows.filter(topic_id=word), rows.filter(event__in=find_events(word))
    )


def find_features(word: str) -> QuerySet[Any]:
    """By address or chain:address."""
    rows = OnchainFeature.objects.order_by().values("pk")
    chain, _, address = word.rpartition(":")
    if chain:
        rows = rows.filter(chain=chain.lower())
    folded = chain.lower() in EVM_CHAINS if chain else address[:2].lower() == "0x"
    return rows.filter(address__iexact=address) if folded else rows.filter(address=address)


def find_verdicts(word: str) -> QuerySet[Any]:
    """By the signal, or by the run."""
    rows = SignalEvent.objects.order_by().values("pk")
    of_signal = rows.filter(signal__in=find_signals(word))
    try:
        return of_signal.union(rows.filter(run=UUID(word)))
    except ValueError:
        return of_signal


class BoundedPaginator(Paginator):  # type: ignore[type-arg] # not subscriptable at run time
    """Pages over the first COUNTED rows, so that a list costs the same in a table of any size."""

    @cached_property
    def count(self) -> int:
        return int(cast("QuerySet[Any]", self.object_list).order_by()[:COUNTED].count())

    @property
    def bounded(self) -> bool:
        """Whether there are more rows than there are pages for."""
        return self.count >= COUNTED


class PipelineAdmin(admin.ModelAdmin):  # type: ignore[type-arg] # not subscriptable at run time
    """Rows that a pipeline writes: not added or deleted here, and only `editable` fields change.

    A column that is new in the model is read-only until it is named. Only what was changed is
    written, so that a page never overwrites what a pipeline writes at the same time.
    """

    editable: tuple[str, ...] = ()

    actions_on_top = False
    actions_on_bottom = True
    paginator = BoundedPaginator
    show_facets = admin.ShowFacets.NEVER  # each count would read the table
    show_full_result_count = False
    sortable_by: ClassVar[tuple[str, ...]] = ()

    @staticmethod
    def find(word: str) -> QuerySet[Any]:
        """The keys of the rows that a word finds."""
        raise NotImplementedError

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(self.editable) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        stored = [field.name for field in self.opts.fields if field.name not in self.editable]
        shown = [
            name for _, options in self.get_fieldsets(request, obj) for name in options["fields"]
        ]
        return [*stored, *(name for name in shown if callable(name))]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Rows that every word finds."""
        if "\0" in search_term:  # PostgreSQL has no such text
            return queryset.none(), False
        for word in search_term.split():
            queryset = queryset.filter(pk__in=self.find(word))
        return queryset, False

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """A nullable text is one line; left empty it is NULL, as the pipelines write it."""
        if isinstance(db_field, models.TextField) and db_field.null:
            kwargs |= {"empty_value": None, "widget": AdminTextInputWidget}
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        stamps = [f.name for f in self.opts.fields if isinstance(f, ModificationDateTimeField)]
        if form.changed_data:
            obj.save(update_fields=[*form.changed_data, *stamps])


class NewestFormSet(BaseInlineFormSet):  # type: ignore[type-arg] # not subscriptable at run time
    """The first INLINE rows in the inline's order."""

    def get_queryset(self) -> Any:
        if not hasattr(self, "_queryset"):
            self._queryset = super().get_queryset()[:INLINE]
        return self._queryset


class Inspected(admin.options.InlineModelAdmin):  # type: ignore[type-arg] # not subscriptable
    """Related rows that are only read."""

    formset = NewestFormSet
    extra = 0
    max_num = 0
    can_delete = False
    show_change_link = True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class VerdictInline(Inspected, admin.TabularInline):  # type: ignore[type-arg] # the same
    model = SignalEvent
    verbose_name_plural = f"verdicts, the newest {INLINE}"
    ordering = ("-id",)
    fields = readonly_fields = (
        *("created_at", "decision", "confidence", "previous_state", "new_state", "note"),
        pretty("features"),
    )


class VerificationInline(Inspected, admin.TabularInline):  # type: ignore[type-arg] # the same
    model = SignalVerification
    verbose_name = "verification"
    fields = readonly_fields = (
        *("status", "outcome", "decision", "note", "checks", "attempts", "next_check_at"),
        *("updated_at", "error"),
    )


class SignalInline(Inspected, admin.TabularInline):  # type: ignore[type-arg] # the same
    model = Signal
    verbose_name_plural = f"signals, the newest {INLINE}"
    ordering = ("-ts", "-id")
    fields = readonly_fields = (
        *("ts", "state", "goplus_risk", "market_type", "advice_tag", "confidence"),
        plain("onchain_confidence"),
    )


@admin.register(Signal)
class SignalAdmin(PipelineAdmin):
    editable = ("event", "market_type", "advice_tag")
    find = staticmethod(find_signals)

    list_display = (
        *("id", token, "state", age("created_at"), "goplus_risk", "market_type", "advice_tag"),
        *("confidence", plain("onchain_confidence")),
    )
    list_filter = (
        "state",
        "goplus_risk",
        recent_values("market_type"),
        age_filter("created_at", state__in=SignalState.values),  # for idx_signals_state_created_at
    )
    list_select_related = ("event",)
    ordering = ("-id",)
    sortable_by = ("id",)
    search_fields = ("id", "topic_id", "event__event_key", "event__symbol", "event__token_ca")
    search_help_text = "Number, symbol, event key, topic or token address"
    autocomplete_fields = ("event",)
    inlines = (VerificationInline, VerdictInline)
    fieldsets = (
        (None, {"fields": ("id", "event", "market_type", "advice_tag", "confidence")}),
        (
            "Verification",
            {"fields": ("state", "onchain_asof_ts", plain("onchain_confidence"))},
        ),
        ("Times", {"fields": ("ts", "created_at", "updated_at")}),
        (
            "Token",
            {
                "fields": (
                    *("goplus_risk", "goplus_tax", "buy_tax", "sell_tax", "honeypot"),
                    *("lp_lock_days", "dex_liquidity", "dex_volume_1h"),
                )
            },
        ),
        (
            "Topic",
            {
                "classes": ("collapse",),
                "fields": (
                    *("topic_id", "topic_entities", "topic_keywords", "topic_slope_10m"),
                    *("topic_slope_30m", "topic_mention_count", "topic_confidence"),
                    *("topic_merge_mode", "topic_sources", "topic_evidence_links"),
                ),
            },
        ),
        (
            "Source",
            {
                "classes": ("collapse",),
                "fields": ("source_level", "heat_slope", pretty("features_snapshot")),
            },
        ),
    )

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        """PostgreSQL refuses to compare its enum with a text that is none of its values."""
        if lookup.startswith("goplus_risk"):
            return lookup == "goplus_risk__exact" and value in GoplusRisk.values
        return super().lookup_allowed(lookup, value, request)


@admin.register(Event)
class EventAdmin(PipelineAdmin):
    editable = ("type", "symbol", "token_ca")
    find = staticmethod(find_events)

    list_display = (
        *(outer("event_key"), "symbol", "type", short("summary"), "score", "heat_10m", "refine_ok"),
        age("last_ts"),
    )
    list_filter = ("refine_ok", recent_values("type"), age_filter("last_ts"))
    ordering = ("-last_ts",)
    search_fields = ("event_key", "symbol", "topic_hash", "token_ca")
    search_help_text = "Event key, symbol, topic or token address"
    inlines = (SignalInline,)
    fieldsets = (
        (None, {"fields": ("event_key", "type", "symbol", "token_ca", "summary")}),
        (
            "Heat",
            {
                "fields": (
                    *("start_ts", "last_ts", "time_bucket_start", "heat_10m", "heat_30m"),
                    *("score", "candidate_score", "last_sentiment", "last_sentiment_score"),
                )
            },
        ),
        (
            "Evidence",
            {
                "fields": (
                    *("evidence_count", pretty("evidence"), pretty("keywords_norm")),
                    *("impacted_assets", "topic_hash", "topic_entities", "version"),
                )
            },
        ),
        (
            "Refinement",
            {
                "fields": (
                    *("refine_ok", "refine_ts", "refine_backend", "refine_latency_ms"),
                    *("refine_error", "refined_type", "refined_summary", "refined_confidence"),
                    *("refined_impacted_assets", "refined_reasons"),
                )
            },
        ),
    )


@admin.register(OnchainFeature)
class OnchainFeatureAdmin(PipelineAdmin):
    find = staticmethod(find_features)

    list_display = (
        *("id", "chain", outer("address"), "window_minutes", "as_of_ts", "addr_active"),
        "tx_count",
        *(plain("growth_ratio"), plain("top10_share"), plain("self_loop_ratio"), "calc_version"),
    )
    list_filter = (recent_values("chain"), WindowFilter)
    ordering = ("-id",)
    sortable_by = ("id",)
    search_fields = ("chain", "address")
    search_help_text = "Token address, or chain:address"
    fieldsets = (
        (None, {"fields": ("id", "chain", "address", "window_minutes", "as_of_ts")}),
        (
            "Measured",
            {
                "fields": (
                    *("addr_active", "tx_count", plain("growth_ratio"), plain("top10_share")),
                    *(plain("self_loop_ratio"), "calc_version", "created_at"),
                )
            },
        ),
    )


@admin.register(SignalEvent)
class SignalEventAdmin(PipelineAdmin):
    find = staticmethod(find_verdicts)

    list_display = (
        *("id", signal, "decision", "confidence", "previous_state", "new_state", "note"),
        age("created_at"),
    )
    list_filter = ("decision", "new_state", "note", age_filter("created_at"))
    ordering = ("-id",)
    sortable_by = ("id",)
    search_fields = ("signal__id", "run")
    search_help_text = "Run, or the signal's number, symbol, event key, topic or token address"
    fieldsets = (
        (
            None,
            {
                "fields": (
                    *("id", "signal", "event_key", "type", "created_at", "decision"),
                    *("confidence", "note", "previous_state", "new_state"),
                )
            },
        ),
        (
            "Evidence",
            {"fields": (pretty("features"), pretty("metadata"), "rules_sha256", "run")},
        ),
    )


@admin.register(SignalVerification)
class SignalVerificationAdmin(PipelineAdmin):
    """Deleting a row lets the job look at a dead signal again."""

    find = staticmethod(find_signals)  # they have the signals' keys

    list_display = (
        *(number, "status", "outcome", "decision", "note", "attempts", short("error")),
        *("next_check_at", age("updated_at")),
    )
    list_filter = ("status", "outcome", "decision", "note")
    ordering = ("status", "-updated_at")  # the dead first
    search_fields = ("signal__id",)
    search_help_text = "The signal's number, symbol, event key, topic or token address"
    fieldsets = (
        (
            None,
            {
                "fields": (
                    *("signal", "status", "outcome", "decision", "note", "next_check_at"),
                    *("checks", "attempts", "error", "updated_at"),
                )
            },
        ),
    )

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return admin.ModelAdmin.has_delete_permission(self, request, obj)
