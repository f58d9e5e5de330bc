"""What five tools make of twelve wrong states of a database; `make peers` prints the table."""
