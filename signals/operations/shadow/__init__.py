"""Judge a database by another one: the one that its recorded migrations make, or any that is named."""
