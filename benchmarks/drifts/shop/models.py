"""A shop, over which the drifts are made."""

import uuid

from django.conf import settings
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import ArrayField, DateRangeField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models.functions import Lower, Now, Upper


class Tag(models.Model):
    label = models.CharField(max_length=30, primary_key=True)

    def __str__(self) -> str:
        return self.label


class Brand(models.Model):
    code = models.CharField(max_length=20, unique=True)
    country = models.CharField(max_length=2, db_collation="C")

    def __str__(self) -> str:
        return self.code


class Product(models.Model):
    name = models.CharField(max_length=100, db_index=True)
    sku = models.CharField(max_length=12, unique=True)
    price = models.DecimalField(max_digits=10, decimal_places=2)
    stock = models.PositiveIntegerField(db_default=0)
    is_active = models.BooleanField(default=True)
    created = models.DateTimeField(db_default=Now())
    attributes = models.JSONField(default=dict)
    labels = ArrayField(models.CharField(max_length=9), default=list)
    label = models.GeneratedField(
        expression=Upper("name"), output_field=models.TextField(), db_persist=True
    )
    brand = models.ForeignKey(Brand, models.CASCADE)
    origin = models.ForeignKey(Brand, models.SET_NULL, null=True, to_field="code", related_name="+")
    offered = DateRangeField(null=True)
    tags = models.ManyToManyField(Tag)

    class Meta:
        unique_together = (("brand", "name"),)
        indexes = (
            models.Index(fields=["brand", "created"], name="product_brand_created"),
            models.Index(
                fields=["stock"], condition=models.Q(is_active=True), name="product_active"
            ),
            models.Index(Lower("name"), name="product_name_lower"),
            GinIndex(fields=["attributes"], opclasses=["jsonb_path_ops"], name="product_gin"),
        )
        constraints = (
            models.CheckConstraint(condition=models.Q(price__gte=0), name="product_price"),
            models.UniqueConstraint(fields=["name", "created"], name="product_name_created"),
            models.UniqueConstraint(
                fields=["brand"], condition=models.Q(stock=0), name="product_one_sold_out"
            ),
            models.UniqueConstraint(
                fields=["brand", "offered"], nulls_distinct=False, name="product_offer"
            ),
            ExclusionConstraint(name="product_offered", expressions=[("offered", "&&")]),
        )

    def __str__(self) -> str:
        return self.name


class Order(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    customer = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT)
    reference = models.CharField(max_length=40, null=True)  # noqa: DJ001 - NULL: none was given

    class Meta:
        order_with_respect_to = "customer"

    def __str__(self) -> str:
        return str(self.id)


class Voucher(Product):
    expires = models.DateField(null=True)
    note = models.TextField(default="")
