"""The prepared databases are those of the tests of the migrations."""

from tests.migrations.conftest import _database_access, copy, prepared

__all__ = ["_database_access", "copy", "prepared"]
