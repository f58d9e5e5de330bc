"""Indexes for the searches of the admin: each finds the newest rows of its kind of match."""

from django.db import migrations, models
from django.db.models.functions import Coalesce, Collate, Left, Lower, NullIf, Trim

from signals import operations


def part(field: str, number: int) -> models.Func:
    return models.Func(
        *(Trim(models.F(field)), models.Value(":"), models.Value(number)),
        function="SPLIT_PART",
        output_field=models.TextField(),
    )


def newest_event() -> models.OrderBy:
    return models.Func(
        models.F("last_ts"),
        template="timezone('UTC', %(expressions)s)",
        output_field=models.DateTimeField(),
    ).desc()


def newest_id() -> models.OrderBy:
    return (models.F("id") + models.Value(0)).desc()


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("signals", "0014_verification_runs")]

    operations = [
        operations.CreateIndexConcurrentlyIfMissing(
            "event", models.Index(Collate("event_key", "C"), name="ix_events_key_prefix")
        ),
        operations.CreateIndexConcurrentlyIfMissing(
            "event",
            models.Index(
                Lower(
                    models.Func(
                        models.F("symbol"),
                        models.Value("$"),
                        function="LTRIM",
                        output_field=models.TextField(),
                    )
                ),
                newest_event(),
                name="ix_events_symbol_newest",
            ),
        ),
        operations.CreateIndexConcurrentlyIfMissing(
            "event",
            models.Index(
                Lower(
                    Left(
                        Coalesce(
                            NullIf(part("token_ca", -1), models.Value("")), part("event_key", 2)
                        ),
                        200,
                    )
                ),
                newest_event(),
                name="ix_events_address_newest",
            ),
        ),
        operations.CreateIndexConcurrentlyIfMissing(
            "event",
            models.Index(
                models.F("topic_hash"),
                newest_event(),
                condition=models.Q(topic_hash__isnull=False),
                name="ix_events_topic_newest",
            ),
        ),
        operations.CreateIndexConcurrentlyIfMissing(
            "signal",
            models.Index(
                models.F("topic_id"),
                newest_id(),
                condition=models.Q(topic_id__isnull=False),
                name="ix_signals_topic_id_newest",
            ),
        ),
        operations.CreateIndexConcurrentlyIfMissing(
            "onchainfeature",
            models.Index(Lower("address"), newest_id(), name="ix_onf_address_newest"),
        ),
        operations.CreateIndexConcurrentlyIfMissing(
            "signalevent",
            models.Index(models.F("run"), newest_id(), name="ix_signal_events_run_newest"),
        ),
    ]
