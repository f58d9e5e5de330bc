"""The table from which the workers of the job verify_signal take new signals, a range of keys each."""

from django.db import migrations, models

from signals import operations


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("signals", "0018_signal_actions")]

    operations = [
        operations.CreateTableIfMissing(
            name="VerificationRange",
            fields=[
                ("low", models.BigIntegerField(primary_key=True, serialize=False)),
                ("high", models.BigIntegerField()),
            ],
            options={"db_table": "verification_ranges"},
        ),
    ]
