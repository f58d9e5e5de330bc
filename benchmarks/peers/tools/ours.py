"""signals.operations of this checkout."""

from benchmarks.peers.cases import Component
from benchmarks.peers.tools import django_tool as of
from benchmarks.peers.tools.serving import serve
from signals import operations

OPERATIONS = {
    Component.COLUMN: operations.AddColumnIfMissing(of.MODEL, "grade", of.GRADE),
    Component.CHECK: operations.AddCheckIfMissing(of.MODEL, of.CHECK),
    Component.INDEX: operations.CreateIndexConcurrentlyIfMissing(of.MODEL, of.INDEX),
    Component.UNIQUE: operations.AddUniqueIfMissing(of.MODEL, of.UNIQUE),
    Component.PERCENT_CHECK: operations.AddCheckIfMissing(of.MODEL, of.PERCENT_CHECK),
    Component.PERCENT_INDEX: operations.CreateIndexConcurrentlyIfMissing(
        of.MODEL, of.PERCENT_INDEX
    ),
    Component.STATE: operations.AddColumnIfMissing(of.MODEL, "state", of.STATE),
    Component.STATE_CHECK: operations.AddCheckIfMissing(of.MODEL, of.STATE_CHECK),
    Component.STATE_INDEX: operations.CreateIndexConcurrentlyIfMissing(of.MODEL, of.STATE_INDEX),
}

if __name__ == "__main__":
    serve(of.DjangoTool(OPERATIONS, apps=("signals.operations",)))
