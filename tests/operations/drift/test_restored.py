"""What Django's operations made is judged right after dump and restore too, on a newer server as well."""

from collections.abc import Iterator
from typing import Any

import pytest

from signals import operations
from tests.operations.drift.restored_kinds import MODELS, OPERATIONS
from tests.operations.dump_and_restore import SOURCES, Judged, restored
from tests.postgres.catalog_facts import catalog_versions


@pytest.fixture(scope="module", params=SOURCES.values(), ids=SOURCES)
def databases(
    request: pytest.FixtureRequest, test_database: None, django_db_blocker: Any
) -> Iterator[tuple[Judged, Judged]]:
    with django_db_blocker.unblock(), restored(request.param, *OPERATIONS) as both:
        yield both


@pytest.mark.parametrize("name", MODELS)
def test_every_kind_of_expression_is_judged_right(
    databases: tuple[Judged, Judged], name: str, django_db_blocker: Any
) -> None:
    for judged in databases:
        with django_db_blocker.unblock():
            rows = judged.rows()
        table = [row for row in rows if row.finding.table == f'"bench_{name.lower()}"']
        assert len(table) > len(MODELS[name].fields)
        assert [row.finding for row in table if row.is_wrong(strict=True)] == []


def test_convergent_operations_have_nothing_to_do_there(
    databases: tuple[Judged, Judged], django_db_blocker: Any
) -> None:
    _, copy = databases
    tables = [
        operations.CreateTableIfMissing(each.name, list(each.fields.items()), each.options)
        for each in MODELS.values()
    ]
    before = catalog_versions(copy.database)
    with django_db_blocker.unblock():
        copy.by(*tables).migrate()
    assert catalog_versions(copy.database) == before
