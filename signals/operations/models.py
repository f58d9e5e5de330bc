"""What the admin's page has its name and its permission from; there is no table."""

from django.db import models


class NoRows(models.Manager["Schema"]):
    """Asks no database, so that `dumpdata` and whoever else walks all models finds nothing."""

    def get_queryset(self) -> "models.QuerySet[Schema]":
        return super().get_queryset().none()


class Schema(models.Model):
    """The declared components of a database, as `verify_schema` shows them."""

    database = models.CharField(primary_key=True, max_length=63)

    objects = NoRows()

    class Meta:
        managed = False
        base_manager_name = "objects"
        default_permissions = ("view",)
        verbose_name = "database schema"
        verbose_name_plural = "database schema"

    def __str__(self) -> str:
        return self.database
