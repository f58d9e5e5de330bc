"""The table of the views of the admin's lists that a person saves."""

from django.conf import settings
from django.db import models

from signals.fields import now
from signals.texts import shortened


class SavedView(models.Model):
    """A person's own name for a list with filters, and the part of its address after the question mark."""

    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", db_index=False
    )
    list = models.TextField()
    name = models.TextField()
    query = models.TextField(blank=True)
    created_at = models.DateTimeField(db_default=now())

    class Meta:
        db_table = "signals_saved_views"
        constraints = (
            models.UniqueConstraint(
                fields=("person", "list", "name"), name="signals_saved_views_name_key"
            ),
        )

    def __str__(self) -> str:
        return shortened(self.name, 60)
