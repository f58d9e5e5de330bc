"""A depot, of which the migrations make more by their own SQL than the models say."""

from django.db import models


class Bin(models.Model):
    code = models.CharField(max_length=20, unique=True)
    note = models.TextField(default="", db_comment="for the picker")

    def __str__(self) -> str:
        return self.code


class Item(models.Model):
    id = models.AutoField(primary_key=True)
    name = models.CharField(max_length=200)
    state = models.CharField(max_length=10, default="new")
    amount = models.IntegerField(default=0)
    bin = models.ForeignKey(Bin, models.CASCADE)

    class Meta:
        indexes = (
            models.Index(fields=["name"], name="item_name"),
            models.Index(fields=["name", "amount"], name="item_name_amount"),
        )

    def __str__(self) -> str:
        return self.name
