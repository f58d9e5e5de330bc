"""Judge migrations by their text and the state of the models; no database is asked."""
