"""How long a test waits for what has to happen: long, because only what is broken ever waits that long."""

DEADLINE = 180.0
