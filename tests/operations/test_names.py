"""Names at which Django, the driver or psql breaks are refused in words, before anything is changed."""

import re
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.checks import run_checks
from django.db import models
from django.db.models import CheckConstraint, Index, Q, UniqueConstraint

from signals import operations
from signals.operations import checks
from tests.operations import scratch_schema
from tests.operations.scratch_schema import (
    APP,
    SERIAL,
)

UNUSABLE = {
    "two\nlines": "'two\\nlines' has a character that cannot be printed, as the end of a line is",
    "carriage\rreturn": "'carriage\\rreturn' has a character that cannot be printed",
    "100%": "'100%' has the character %, at which Django breaks",
    "%s": "'%s' has the character %, at which Django breaks",
    'quo"te': "'quo\"te' has the character \", at which Django breaks",
}
MAKERS = {
    "check": lambda name: operations.AddCheckIfMissing(
        "part", CheckConstraint(condition=Q(amount__gt=0), name=name)
    ),
    "unique": lambda name: operations.AddUniqueIfMissing(
        "part", UniqueConstraint(fields=["label"], name=name)
    ),
    "index": lambda name: operations.CreateIndexConcurrentlyIfMissing(
        "part", Index(fields=["label"], name="wanted"), [Index(fields=["amount"], name=name)]
    ),
    "enum": lambda name: operations.CreateEnumIfMissing(name, ["small"]),
}


@pytest.mark.parametrize("name", UNUSABLE)
@pytest.mark.parametrize("what", MAKERS)
def test_an_operation_refuses_the_name(what: str, name: str) -> None:
    words = re.escape(UNUSABLE[name]) + r".*\(choose another one\)$"
    with pytest.raises(ValueError, match=words):
        MAKERS[what](name)


def messages(operation: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    loaded = SimpleNamespace(
        disk_migrations={(APP, "0001_bench"): scratch_schema.migration(operation)}
    )
    monkeypatch.setattr(checks, "MigrationLoader", lambda *_, **__: loaded)
    found = run_checks(tags=["convergent_migrations"])
    return [each.msg for each in found if each.id == "convergent_migrations.E004"]


@pytest.mark.parametrize("name", ["two\nlines", "100%", 'quo"te', "pri$ce"])
def test_the_system_check_tells_a_column_and_a_table_of_such_a_name(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    field = models.IntegerField(db_column=name, null=True)
    strict = models.IntegerField(db_column=name)
    table = operations.CreateTableIfMissing(
        "Box", [("id", SERIAL), ("size", field)], {"db_table": f'"aside"."{name}"'}
    )
    for operation, kinds in (
        (operations.AddColumnIfMissing("part", "size", field), ["column"]),
        (operations.SetNotNullIfNullable("part", "size", strict), ["column"]),
        (table, ["table", "column"]),
    ):
        said = messages(operation, monkeypatch)
        assert [each.split(repr(name))[0] for each in said] == [
            f"bench.0001_bench: the {kind} " for kind in kinds
        ]


@pytest.mark.parametrize("table", ["plain", "a space", '"aside"."part"', 'aside"."part', "it's"])
def test_other_names_are_no_message(table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = operations.CreateTableIfMissing("Box", [("id", SERIAL)], {"db_table": table})
    assert messages(made, monkeypatch) == []


def test_a_name_that_is_removed_is_told_too(monkeypatch: pytest.MonkeyPatch) -> None:
    for removal in (
        operations.RemoveCheckIfPresent("part", "two\nlines"),
        operations.RemoveUniqueIfPresent("part", "two\nlines"),
        operations.DropIndexConcurrentlyIfPresent("part", "two\nlines"),
    ):
        (said,) = messages(removal, monkeypatch)
        assert said.startswith("bench.0001_bench: the constraint or index 'two\\nlines' has a")
