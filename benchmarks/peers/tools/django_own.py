"""Django's own operations, the index by the concurrent one of django.contrib.postgres."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db.migrations import AddConstraint, AddField

from benchmarks.peers.cases import Component
from benchmarks.peers.tools import django_tool as of
from benchmarks.peers.tools.serving import serve

OPERATIONS = {
    Component.COLUMN: AddField(of.MODEL, "grade", of.GRADE),
    Component.CHECK: AddConstraint(of.MODEL, of.CHECK),
    Component.INDEX: AddIndexConcurrently(of.MODEL, of.INDEX),
    Component.UNIQUE: AddConstraint(of.MODEL, of.UNIQUE),
    Component.PERCENT_CHECK: AddConstraint(of.MODEL, of.PERCENT_CHECK),
    Component.PERCENT_INDEX: AddIndexConcurrently(of.MODEL, of.PERCENT_INDEX),
    Component.STATE: AddField(of.MODEL, "state", of.STATE),
    Component.STATE_CHECK: AddConstraint(of.MODEL, of.STATE_CHECK),
    Component.STATE_INDEX: AddIndexConcurrently(of.MODEL, of.STATE_INDEX),
}

if __name__ == "__main__":
    serve(of.DjangoTool(OPERATIONS, apps=("django.contrib.postgres",)))
