"""One file per tool; each is started as a process, and does for each case what its user would do."""
