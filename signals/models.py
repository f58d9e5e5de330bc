"""The tables of the signals platform, with the columns, indexes and checks of the legacy database."""

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import HashIndex
from django.db import models
from django.db.models import Case, F, Index, Q, When
from django.db.models.functions import Lower
from django.db.models.lookups import Exact
from django_extensions.db.fields import CreationDateTimeField, ModificationDateTimeField

from signals import action_models, chain_models, indexes  # noqa: F401 - Django looks for all models in here
from signals.choices import (
    WINDOW_MINUTES,
    Decision,
    Note,
    RunOutcome,
    SignalEventType,
    SignalState,
    VerificationOutcome,
    VerificationStatus,
)
from signals.fields import EnumField, GoplusRisk, NumericField, now
from signals.progress_models import VerificationCursor, VerificationRange
from signals.saved_view import SavedView
from signals.texts import shortened

__all__ = [
    "Event",
    "OnchainFeature",
    "SavedView",
    "Signal",
    "SignalEvent",
    "SignalVerification",
    "VerificationCursor",
    "VerificationRange",
    "VerificationRules",
    "VerificationRun",
]


def json_type(field: str) -> models.Func:
    """Return the expression for the type of a JSON field's value: object, array, string …"""
    return models.Func(models.F(field), function="jsonb_typeof", output_field=models.TextField())


def address_key() -> Case:
    """Return the expression for the address as it is compared: in lower case if it has the EVM form.

    signals.verification.tokens.fold_address() is the same in Python.
    """
    evm = When(address__regex="^0[xX][0-9a-fA-F]{40}$", then=Lower("address"))
    return Case(evm, default=F("address"))


class Event(models.Model):
    """Something that happened to a token, gathered from posts."""

    event_key = models.TextField(primary_key=True)
    type = models.TextField(null=True, blank=True)
    summary = models.TextField(null=True, blank=True)
    evidence = models.JSONField(null=True, blank=True, db_default=[])
    impacted_assets = ArrayField(models.TextField(), null=True, blank=True)
    start_ts = models.DateTimeField()
    last_ts = models.DateTimeField()
    heat_10m = models.IntegerField(null=True, blank=True, db_default=0)
    heat_30m = models.IntegerField(null=True, blank=True, db_default=0)
    score = models.FloatField(db_default=0.0)
    symbol = models.TextField(null=True, blank=True)
    token_ca = models.TextField(null=True, blank=True)
    topic_hash = models.TextField(null=True, blank=True)
    time_bucket_start = models.DateTimeField(null=True, blank=True)
    evidence_count = models.IntegerField(db_default=0)
    candidate_score = models.FloatField(db_default=0.0)
    keywords_norm = models.JSONField(null=True, blank=True)
    version = models.TextField(db_default="v1")
    last_sentiment = models.TextField(null=True, blank=True)
    last_sentiment_score = models.FloatField(null=True, blank=True)
    refined_type = models.TextField(null=True, blank=True)
    refined_summary = models.TextField(null=True, blank=True)
    refined_impacted_assets = ArrayField(models.TextField(), null=True, blank=True, db_default=[])
    refined_reasons = ArrayField(models.TextField(), null=True, blank=True, db_default=[])
    refined_confidence = models.FloatField(null=True, blank=True)
    refine_backend = models.TextField(null=True, blank=True)
    refine_latency_ms = models.IntegerField(null=True, blank=True)
    refine_ok = models.BooleanField(null=True, blank=True)
    refine_error = models.TextField(null=True, blank=True)
    refine_ts = models.DateTimeField(null=True, blank=True, db_default=now())
    topic_entities = ArrayField(models.CharField(), null=True, blank=True)

    class Meta:
        db_table = "events"
        indexes = (
            Index(fields=("-last_ts",), name="idx_events_last_ts"),
            Index(fields=("symbol", "time_bucket_start"), name="idx_events_symbol_bucket"),
            Index(fields=("refine_ok",), name="idx_events_refine_ok"),
            Index(fields=("refine_ts",), name="idx_events_refine_ts"),
            Index(fields=("topic_hash",), name="idx_events_topic_hash"),
            Index(fields=("topic_hash", "last_ts"), name="idx_events_topic_last_ts"),
            *indexes.OF_EVENTS,
        )

    def __str__(self) -> str:
        return shortened(self.event_key, 200)


class Signal(models.Model):
    """A claim that an event about a token is tradable, to be verified by the token's on-chain features."""

    event = models.ForeignKey(
        Event,
        models.CASCADE,
        null=True,
        blank=True,
        db_column="event_key",
        db_index=False,  # ix_signals_event_key_ts serves it
        related_name="signals",
    )
    market_type = models.TextField(null=True, blank=True)
    advice_tag = models.TextField(null=True, blank=True)
    confidence = models.IntegerField(null=True, blank=True)
    goplus_risk = EnumField(
        enum_name="goplus_risk_enum", choices=GoplusRisk.choices, null=True, blank=True
    )
    goplus_tax = models.FloatField(null=True, blank=True)
    lp_lock_days = models.IntegerField(null=True, blank=True)
    dex_liquidity = models.FloatField(null=True, blank=True)
    dex_volume_1h = models.FloatField(null=True, blank=True)
    ts = models.DateTimeField(null=True, blank=True, db_default=now())
    buy_tax = models.FloatField(null=True, blank=True)
    sell_tax = models.FloatField(null=True, blank=True)
    honeypot = models.BooleanField(null=True, blank=True)
    topic_id = models.CharField(max_length=20, null=True, blank=True)
    topic_entities = ArrayField(models.CharField(), null=True, blank=True)
    topic_keywords = ArrayField(models.CharField(), null=True, blank=True)
    topic_slope_10m = models.FloatField(null=True, blank=True)
    topic_slope_30m = models.FloatField(null=True, blank=True)
    topic_mention_count = models.IntegerField(null=True, blank=True)
    topic_confidence = models.FloatField(null=True, blank=True)
    topic_merge_mode = models.CharField(max_length=20, null=True, blank=True)
    topic_sources = ArrayField(models.CharField(), null=True, blank=True)
    topic_evidence_links = ArrayField(models.CharField(), null=True, blank=True)
    source_level = models.TextField(null=True, blank=True)
    features_snapshot = models.JSONField(null=True, blank=True)
    heat_slope = models.FloatField(null=True, blank=True)
    onchain_asof_ts = models.DateTimeField(null=True, blank=True)
    onchain_confidence = models.DecimalField(max_digits=4, decimal_places=3, null=True, blank=True)
    created_at = CreationDateTimeField(db_default=now())  # type: ignore[no-untyped-call] # ships no types
    updated_at = ModificationDateTimeField(db_default=now())  # type: ignore[no-untyped-call] # the same
    state = models.TextField(choices=SignalState.choices, db_default=SignalState.CANDIDATE.value)

    class Meta:
        db_table = "signals"
        indexes = (
            Index(fields=("event", "-ts"), name="ix_signals_event_key_ts"),
            Index(fields=("goplus_risk",), name="idx_signals_goplus_risk"),
            Index(fields=("topic_id",), name="idx_signals_topic_id"),
            Index(fields=("state", "created_at"), name="idx_signals_state_created_at"),
            *indexes.OF_SIGNALS,
        )
        constraints = (
            models.CheckConstraint(
                condition=Q(state__in=("candidate", "verified", "downgraded")),
                name="signals_state_check",
            ),
        )
        permissions = (
            ("reverify_signal", "Can have signals verified again"),
            ("override_state", "Can override the state of signals"),
            ("export_signals", "Can export signals"),
        )

    def __str__(self) -> str:
        return f"signal {self.pk}"


class OnchainFeature(models.Model):
    """Measurements of a token on its chain, over the `window_minutes` that end at `as_of_ts`.

    Those of pull_features rest on the logs from `from_block` to `to_block`, whose hash is `block_hash`; the
    block range of others is not known. `top10_share` rests on all blocks up to `to_block`.
    """

    chain = models.TextField()
    address = models.TextField()
    as_of_ts = models.DateTimeField()
    window_minutes = models.IntegerField()
    addr_active = models.IntegerField(null=True, blank=True)
    tx_count = models.IntegerField(null=True, blank=True)
    growth_ratio = NumericField(null=True, blank=True)
    top10_share = NumericField(null=True, blank=True)
    self_loop_ratio = NumericField(null=True, blank=True)
    calc_version = models.IntegerField(db_default=1)
    created_at = models.DateTimeField(db_default=now())
    from_block = models.BigIntegerField(null=True, blank=True)
    to_block = models.BigIntegerField(null=True, blank=True)
    block_hash = models.TextField(null=True, blank=True)

    class Meta:
        db_table = "onchain_features"
        indexes = (
            Index(fields=("chain", "address", "window_minutes", "as_of_ts"), name="idx_onf_lookup"),
            # The newest measurement of a token is the first entry of its range.
            Index(
                *(F("chain"), address_key(), F("window_minutes")),
                *(F("as_of_ts").desc(), F("id").desc()),
                name="ix_onf_token",
            ),
            # The population of a percentile, read from the index alone.
            Index(
                fields=("chain", "window_minutes", "as_of_ts"),
                include=("addr_active",),
                name="ix_onf_population",
            ),
            *indexes.OF_FEATURES,
        )
        constraints = (
            models.UniqueConstraint(
                fields=("chain", "address", "as_of_ts", "window_minutes"),
                name="onchain_features_chain_address_as_of_ts_window_minutes_key",
            ),
            models.CheckConstraint(
                condition=Q(window_minutes__in=WINDOW_MINUTES), name="check_window_minutes"
            ),
        )

    def __str__(self) -> str:
        token = shortened(f"{self.chain}:{self.address}", 200)
        return f"{token} {self.window_minutes} min"


class SignalEvent(models.Model):
    """One verdict on a signal, or what a person did to it; rows are added and never changed.

    What a person did has no decision, confidence and rules; `person` says who, `reason` why, and `run` is
    the action. The database has no foreign key here, so that events and signals can be deleted in SQL. The
    verdict then outlives its signal.
    """

    signal = models.ForeignKey(
        Signal,
        models.CASCADE,
        db_constraint=False,
        db_index=False,  # ix_signal_events_signal serves it
        related_name="verdicts",
    )
    event_key = models.TextField(blank=True, db_default="")
    type = models.TextField(
        choices=SignalEventType.choices, db_default=SignalEventType.ONCHAIN_VERIFY.value
    )
    previous_state = models.TextField(choices=SignalState.choices)
    new_state = models.TextField(choices=SignalState.choices)
    decision = models.TextField(choices=Decision.choices, blank=True)
    confidence = models.DecimalField(max_digits=4, decimal_places=3, null=True, blank=True)
    note = models.TextField(choices=Note.choices, blank=True, db_default="")
    features = models.JSONField(db_default={})
    rules_sha256 = models.CharField(max_length=64, blank=True)
    run = models.UUIDField()
    created_at = models.DateTimeField(db_default=now())
    metadata = models.JSONField(db_default={})
    person = models.TextField(blank=True, db_default="")
    reason = models.TextField(blank=True, db_default="")

    class Meta:
        db_table = "signal_events"
        indexes = (
            Index(fields=("signal", "type", "-id"), name="ix_signal_events_signal"),
            Index(fields=("-created_at",), name="ix_signal_events_created_at"),
            Index(fields=("run",), name="ix_signal_events_run"),
            *indexes.OF_VERDICTS,
        )
        constraints = (
            models.CheckConstraint(
                condition=Q(previous_state__in=("candidate", "verified", "downgraded"))
                & Q(new_state__in=("candidate", "verified", "downgraded")),
                name="signal_events_state_check",
            ),
            models.CheckConstraint(
                condition=Q(
                    decision__in=("upgrade", "downgrade", "hold", "insufficient"),
                    confidence__isnull=False,
                )
                | Q(
                    *(Q(type__in=("override", "recheck", "revive")), ~Q(person="")),
                    decision="",
                    confidence__isnull=True,
                ),
                name="signal_events_maker_check",
            ),
            models.CheckConstraint(
                condition=Q(confidence__gte=0, confidence__lte=1),
                name="signal_events_confidence_check",
            ),
            models.CheckConstraint(
                condition=Q(
                    Exact(json_type("features"), "object"), Exact(json_type("metadata"), "object")
                ),
                name="signal_events_json_check",
            ),
        )

    def __str__(self) -> str:
        return f"signal {self.signal_id} {self.decision or self.type}"


class VerificationRules(models.Model):
    """The text of a rules file that a run used, kept once for each SHA-256."""

    id = models.AutoField(primary_key=True)
    sha256 = models.CharField(max_length=64)
    text = models.TextField()
    created_at = models.DateTimeField(db_default=now())

    class Meta:
        db_table = "verification_rules"
        verbose_name_plural = "verification rules"
        constraints = (
            models.UniqueConstraint(fields=("sha256",), name="verification_rules_sha256_key"),
        )

    def __str__(self) -> str:
        return f"rules {self.sha256[:12]}"


class VerificationRun(models.Model):
    """One run of the job; `heartbeat_at` and `counts` are renewed with each batch."""

    id = models.UUIDField(primary_key=True)
    started_at = models.DateTimeField()
    heartbeat_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)
    outcome = models.TextField(choices=RunOutcome.choices, db_default=RunOutcome.RUNNING.value)
    host = models.TextField()
    pid = models.IntegerField()
    mode = models.TextField()
    rules_sha256 = models.CharField(max_length=64)
    counts = models.JSONField(db_default={})
    error = models.TextField(blank=True, db_default="")

    class Meta:
        db_table = "verification_runs"
        indexes = (Index(fields=("-heartbeat_at",), name="ix_verification_runs_heartbeat"),)

    def __str__(self) -> str:
        return f"run {self.id}"


class SignalVerification(models.Model):
    """The job's record of a candidate signal.

    `status` is one of:

    * `waiting`: the next check is due at `next_check_at`; sooner after newer evidence, under other rules
      than `rules`, and if `withheld` as soon as the rules are on. In a row that was never checked, `checks`
      is 0 and `outcome` is `skipped`.
    * `settled`: the verdict changed the signal's state. If the state is set back to `candidate`, the
      signal is checked again.
    * `dead`: the last `attempts` checks failed, the latest one with `error`. The job leaves the signal
      alone until it is revived or this row is deleted.

    `run` is the run that claimed the signal last, which nobody else checks until `leased_until`. `chain`,
    `address` and `as_of` are the token and the time of the evidence of the last check. `checks` counts all
    checks. `margin` is how near the last verdict was to another one (signals.verification.margin), NULL if
    the last check decided nothing. As with SignalEvent, the database has no foreign keys here.
    """

    signal = models.OneToOneField(
        Signal, models.CASCADE, db_constraint=False, primary_key=True, related_name="verification"
    )
    status = models.TextField(choices=VerificationStatus.choices)
    next_check_at = models.DateTimeField(null=True, blank=True)
    checks = models.IntegerField(db_default=0)
    attempts = models.IntegerField(db_default=0)
    outcome = models.TextField(choices=VerificationOutcome.choices)
    decision = models.TextField(choices=Decision.choices, blank=True, db_default="")
    note = models.TextField(choices=Note.choices, blank=True, db_default="")
    error = models.TextField(blank=True, db_default="")
    updated_at = models.DateTimeField(db_default=now())
    run = models.UUIDField(null=True, blank=True)
    leased_until = models.DateTimeField(null=True, blank=True)
    chain = models.TextField(blank=True, db_default="")
    address = models.TextField(blank=True, db_default="")
    as_of = models.DateTimeField(null=True, blank=True)
    rules = models.ForeignKey(
        VerificationRules,
        models.DO_NOTHING,
        null=True,
        blank=True,
        db_constraint=False,
        db_index=False,  # ix_signal_verif_rules serves it
        related_name="+",
    )
    withheld = models.BooleanField(db_default=False)
    margin = NumericField(null=True, blank=True)

    class Meta:
        db_table = "signal_verifications"
        indexes = (
            Index(
                fields=("next_check_at",),
                condition=Q(status="waiting"),
                name="ix_signal_verif_waiting",
            ),
            Index(fields=("status", "-updated_at"), name="ix_signal_verif_status"),
            Index(
                fields=("rules", "updated_at"),
                condition=Q(status="waiting", checks__gt=0),
                name="ix_signal_verif_rules",
            ),
            Index(
                fields=("updated_at",),
                condition=Q(status="waiting", withheld=True),
                name="ix_signal_verif_withheld",
            ),
            HashIndex(
                fields=("address",),
                condition=Q(status="waiting", address__gt=""),
                name="ix_signal_verif_address",
            ),
            *indexes.OF_VERIFICATIONS,
        )
        constraints = (
            models.CheckConstraint(
                condition=Q(status="waiting", next_check_at__isnull=False)
                | Q(status__in=("settled", "dead"), next_check_at__isnull=True),
                name="signal_verif_status_check",
            ),
            models.CheckConstraint(
                condition=Q(outcome__in=("evaluated", "skipped", "failed")),
                name="signal_verif_outcome_check",
            ),
            models.CheckConstraint(
                condition=Q(checks__gte=0, attempts__gte=0), name="signal_verif_counts_check"
            ),
        )

    def __str__(self) -> str:
        return f"signal {self.signal_id} {self.status}"
