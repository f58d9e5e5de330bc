"""The job as tasks of a queue, each queue an extra."""
