"""A run of `migrate` as a whole: the look ahead at its plan, and its preview."""
