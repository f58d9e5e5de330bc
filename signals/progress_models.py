"""The tables that say how far the workers of the job have come."""

from django.db import models


class VerificationCursor(models.Model):
    """How far the job has read a table by its primary key, so that a run reads only what is new."""

    name = models.TextField(primary_key=True)
    position = models.BigIntegerField()

    class Meta:
        db_table = "verification_cursors"

    def __str__(self) -> str:
        return f"{self.name} {self.position}"


class VerificationRange(models.Model):
    """Keys of signals that the job has read, from `low` to `high`, whose verdicts are still to be written.

    A worker locks the range that it judges, and removes it with what it writes.
    """

    low = models.BigIntegerField(primary_key=True)
    high = models.BigIntegerField()

    class Meta:
        db_table = "verification_ranges"

    def __str__(self) -> str:
        return f"signals {self.low} to {self.high}"
