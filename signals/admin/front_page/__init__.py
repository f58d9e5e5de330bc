"""The front page of the admin: what waits, what was decided, and whether the job is alive."""
