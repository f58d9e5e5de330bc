"""django-pg-migration-tools. It has no operation for a plain column, so that is Django's AddField."""

from django.db.migrations import AddField
from django_pg_migration_tools.operations import (
    SaferAddCheckConstraint,
    SaferAddIndexConcurrently,
    SaferAddUniqueConstraint,
)

from benchmarks.peers.cases import Component
from benchmarks.peers.tools import django_tool as of
from benchmarks.peers.tools.serving import serve

OPERATIONS = {
    Component.COLUMN: AddField(of.MODEL, "grade", of.GRADE),
    Component.CHECK: SaferAddCheckConstraint(of.MODEL, of.CHECK),
    Component.INDEX: SaferAddIndexConcurrently(of.MODEL, of.INDEX),
    Component.UNIQUE: SaferAddUniqueConstraint(of.MODEL, of.UNIQUE),
    Component.PERCENT_CHECK: SaferAddCheckConstraint(of.MODEL, of.PERCENT_CHECK),
    Component.PERCENT_INDEX: SaferAddIndexConcurrently(of.MODEL, of.PERCENT_INDEX),
    Component.STATE: AddField(of.MODEL, "state", of.STATE),
    Component.STATE_CHECK: SaferAddCheckConstraint(of.MODEL, of.STATE_CHECK),
    Component.STATE_INDEX: SaferAddIndexConcurrently(of.MODEL, of.STATE_INDEX),
}

if __name__ == "__main__":
    serve(of.DjangoTool(OPERATIONS, packages=("django-pg-migration-tools",)))
