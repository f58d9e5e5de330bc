from django.db import migrations, models
from django.db.models.functions import Coalesce
from django_extensions.db.fields import CreationDateTimeField, ModificationDateTimeField

from signals import operations
from signals.fields import now


class Migration(migrations.Migration):
    """Revision 011: the confidence as a fraction; and when a row came and changed."""

    atomic = False
    dependencies = (("signals", "0010_onchain_features"),)
    operations = (
        # lint: accept L108,L207 it rewrites only a database that is older than this revision
        operations.AlterColumnTypeIfDifferent(
            "signal",
            "onchain_confidence",
            models.DecimalField(max_digits=4, decimal_places=3, null=True, blank=True),
            allow_rewrite=True,
            keep_on_reverse=True,
        ),
        operations.AddColumnIfMissing(
            "signal",
            "created_at",
            CreationDateTimeField(
                null=True,
                db_default=now(),
            ),
            keep_on_reverse=True,
            altered_later=True,
            leave_existing_null=True,
        ),
        operations.BackfillInBatches(
            "signal",
            "created_at",
            Coalesce("ts", now()),
        ),
        operations.SetNotNullIfNullable(
            "signal",
            "created_at",
            CreationDateTimeField(db_default=now()),
            keep_on_reverse=True,
        ),
        operations.AddColumnIfMissing(
            "signal",
            "updated_at",
            ModificationDateTimeField(db_default=now()),
            keep_on_reverse=True,
        ),
    )
