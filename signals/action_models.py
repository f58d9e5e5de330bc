"""The tables of what people do to many signals at once."""

from django.db import models
from django.db.models import Index, Q

from signals.choices import ActionStatus, SignalEventType, SignalState
from signals.fields import now


class SignalAction(models.Model):
    """What a person does to many signals, whose numbers are frozen in SignalActionRow.

    `person_key` is the person's primary key, `person` the name at that time. `selection` says how the
    signals were chosen. `number` of them are changed; `states` counts them by state. So far, which is up to
    the number `position`, `done` were changed, and `missed` could not be. `checked` is what a check right
    away found.
    """

    id = models.UUIDField(primary_key=True)
    kind = models.TextField(choices=SignalEventType.choices)
    status = models.TextField(choices=ActionStatus.choices, db_default=ActionStatus.CHOSEN.value)
    person_key = models.TextField()
    person = models.TextField()
    selection = models.TextField(blank=True, db_default="")
    state = models.TextField(choices=SignalState.choices, blank=True, db_default="")
    reason = models.TextField(blank=True, db_default="")
    states = models.JSONField(db_default={})
    number = models.IntegerField(db_default=0)
    done = models.IntegerField(db_default=0)
    missed = models.IntegerField(db_default=0)
    position = models.BigIntegerField(null=True, blank=True)
    checked = models.JSONField(db_default={})
    created_at = models.DateTimeField(db_default=now())
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "signal_actions"
        indexes = (
            Index(fields=("person_key", "-created_at"), name="ix_signal_actions_person"),
            Index(fields=("created_at",), name="ix_signal_actions_created_at"),
        )
        constraints = (
            models.CheckConstraint(
                condition=Q(kind__in=("override", "recheck", "revive")),
                name="signal_actions_kind_check",
            ),
            models.CheckConstraint(
                condition=Q(status__in=("chosen", "confirmed", "finished", "dropped")),
                name="signal_actions_status_check",
            ),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


class SignalActionRow(models.Model):
    """A signal that an action is still to change, and its state when it was chosen."""

    pk = models.CompositePrimaryKey("action", "signal")
    action = models.ForeignKey(SignalAction, models.CASCADE, db_index=False, related_name="rows")
    signal = models.ForeignKey(
        "signals.Signal", models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    state = models.TextField(choices=SignalState.choices)

    class Meta:
        db_table = "signal_action_rows"

    def __str__(self) -> str:
        return f"signal {self.signal_id} of {self.action_id}"
