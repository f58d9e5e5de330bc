"""Running the job for years: its figures, its metrics, and the removal of what is old."""
