"""Two releases of one project on one database, while that is changed from the one to the other."""
