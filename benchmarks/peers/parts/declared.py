"""What the migrations of this process are to say; set before they are read."""

from django.db.migrations.operations.base import Operation

MIGRATIONS = "benchmarks.peers.parts.migrations."

table = ""
operations: list[Operation] = []
