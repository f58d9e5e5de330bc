"""A Django database backend with a PostgreSQL of its own, which runs while somebody uses it."""
