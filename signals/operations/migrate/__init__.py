"""Check the whole plan of a `migrate` run before its first change, and preview it."""
