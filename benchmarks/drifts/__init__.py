"""Drifts of a database from its migrations, and which tools see them: `make drifts`, docs/drifts.md."""
