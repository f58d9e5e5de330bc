"""How long everybody else waits while seven tools make one change; `make stalls` prints the table."""
