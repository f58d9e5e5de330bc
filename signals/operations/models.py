"""The model that gives the admin page its name and its permission; it has no table."""

from django.db import models


class NoRows(models.Manager["Schema"]):
    """A manager that asks no database, so that `dumpdata` and others that walk all models find no row."""

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
