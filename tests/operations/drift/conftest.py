"""A project with many schemas of one application."""

import pytest

from signals.operations.catalog.query import quoted
from tests.operations.drift.tenant_schemas import CRATE, DRIFTED_SCHEMAS
from tests.operations.projects.project import Project


@pytest.fixture
def tenant_schemas(stock_project: Project) -> Project:
    scripts = [
        f"{CRATE.format(schema=quoted(name))}; {drift};"
        for name, (drift, _) in DRIFTED_SCHEMAS.items()
    ]
    stock_project.psql("\n".join(scripts))
    return stock_project
