"""Compare a database with all that its applied migrations declare, and repair it."""
