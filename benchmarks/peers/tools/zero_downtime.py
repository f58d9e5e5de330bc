"""django-pg-zero-downtime-migrations: Django's operations on its backend, with the settings that its
README calls the most safe ones; started with the argument `idempotent`, in its idempotent mode too."""

import sys

from django.db.migrations import AddConstraint, AddField, AddIndex

from benchmarks.peers.cases import Component
from benchmarks.peers.tools import django_tool as of
from benchmarks.peers.tools.serving import serve

OPERATIONS = {
    Component.COLUMN: AddField(of.MODEL, "grade", of.GRADE),
    Component.CHECK: AddConstraint(of.MODEL, of.CHECK),
    Component.INDEX: AddIndex(of.MODEL, of.INDEX),
    Component.UNIQUE: AddConstraint(of.MODEL, of.UNIQUE),
    Component.PERCENT_CHECK: AddConstraint(of.MODEL, of.PERCENT_CHECK),
    Component.PERCENT_INDEX: AddIndex(of.MODEL, of.PERCENT_INDEX),
    Component.STATE: AddField(of.MODEL, "state", of.STATE),
    Component.STATE_CHECK: AddConstraint(of.MODEL, of.STATE_CHECK),
    Component.STATE_INDEX: AddIndex(of.MODEL, of.STATE_INDEX),
}

if __name__ == "__main__":
    serve(
        of.DjangoTool(
            OPERATIONS,
            packages=("django-pg-zero-downtime-migrations",),
            engine="django_zero_downtime_migrations.backends.postgres",
            ZERO_DOWNTIME_MIGRATIONS_LOCK_TIMEOUT="2s",
            ZERO_DOWNTIME_MIGRATIONS_STATEMENT_TIMEOUT="2s",
            ZERO_DOWNTIME_MIGRATIONS_FLEXIBLE_STATEMENT_TIMEOUT=True,
            ZERO_DOWNTIME_MIGRATIONS_RAISE_FOR_UNSAFE=True,
            ZERO_DOWNTIME_MIGRATIONS_IDEMPOTENT_SQL="idempotent" in sys.argv,
        )
    )
