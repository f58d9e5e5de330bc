"""The job verify_signal: rules, look-ups, runs, on a real PostgreSQL."""
