"""A table, and pairs of definitions of its components."""

from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib.postgres.fields import ArrayField
from django.db import models

from tests.operations.scratch_schema import PART_TABLE


class Grade(models.TextField):  # type: ignore[type-arg] # not subscriptable at run time
    """A column of the enum that START creates."""

    def db_type(self, connection: Any) -> str:  # noqa: ARG002 - Django's signature
        return '"grade"'


FURTHER = (
    ("code", models.CharField(max_length=9, null=True)),
    ("tags", ArrayField(models.TextField(), null=True)),
    ("data", models.JSONField(null=True)),
    ("made_on", models.DateField(null=True)),
)
START = f"""{PART_TABLE}
ALTER TABLE part ADD COLUMN code varchar(9), ADD COLUMN tags text[], ADD COLUMN data jsonb,
    ADD COLUMN made_on date;
CREATE TYPE grade AS ENUM ('low', 'high');
CREATE TYPE aside.grade AS ENUM ('low', 'high');
CREATE TABLE other (id bigint PRIMARY KEY);
ALTER TABLE part ADD CONSTRAINT part_code_key UNIQUE (code);
CREATE INDEX part_code_like ON part (code varchar_pattern_ops);
CREATE FUNCTION aside.upper(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT pg_catalog.lower($1)'"""
EMPTY = f"{START}; TRUNCATE part"
N: Any = {"name": "wanted"}


@dataclass(frozen=True)
class Pair:
    """A declaration, SQL for the same thing in other words, and SQL for one that differs.

    found, wanted: how the error shows the two, as PostgreSQL prints them.
    since: the first server that has it; an older one refuses it in words.
    """

    declared: Any
    same: str
    other: str
    found: str
    wanted: str
    since: int = 0


# By an operation of its own, and as a part of CreateTableIfMissing.
each_way = pytest.mark.parametrize("way", ["alone", "within"], ids=["alone", "within its table"])
