from django.db import migrations, models

from signals import operations


class Migration(migrations.Migration):
    """Revision 012: where a signal stands, guarded and indexed on the best columns it has."""

    atomic = False
    dependencies = (("signals", "0011_signal_times"),)
    operations = (
        operations.AddColumnIfMissing(
            "signal",
            "state",
            models.TextField(
                choices=[
                    ("candidate", "Candidate"),
                    ("verified", "Verified"),
                    ("downgraded", "Downgraded"),
                ],
                db_default="candidate",
            ),
        ),
        operations.AddCheckIfMissing(
            "signal",
            models.CheckConstraint(
                condition=models.Q(state__in=("candidate", "verified", "downgraded")),
                name="signals_state_check",
            ),
        ),
        operations.CreateIndexConcurrentlyIfMissing(
            "signal",
            models.Index(fields=["state", "created_at"], name="idx_signals_state_created_at"),
            fallbacks=[
                models.Index(fields=["state", "updated_at"], name="idx_signals_state_updated_at"),
                models.Index(fields=["state", "ts"], name="idx_signals_state_ts"),
                models.Index(fields=["state"], name="idx_signals_state_onlystate"),
            ],
        ),
    )
