"""The job as tasks of procrastinate, on the database that holds the signals.

Each minute a periodic task defers as many chunks as the due signals fill. A queueing lock for each number
keeps a second chunk of that number from being queued while one waits, so a queue without workers does not
grow. A chunk of a killed worker is not needed again: what it had claimed is due when its lease ends, and
the next minute brings new chunks.
"""

from typing import Final

from procrastinate.contrib.django import app
from procrastinate.exceptions import AlreadyEnqueued

from signals.verification.queues.chunks import count_chunks, verify_chunk

QUEUE: Final = "verify_signal"
"""The queue of all tasks here: `manage.py procrastinate worker --queues verify_signal`."""


@app.task(queue=QUEUE, name="verify_signal.chunk")
def verify(number: int) -> dict[str, int]:  # noqa: ARG001 - tells the chunks of a minute apart
    """Check a chunk of the signals that are due."""
    return verify_chunk()


@app.periodic(cron="* * * * *")
@app.task(queue=QUEUE, name="verify_signal.defer", queueing_lock="verify_signal.defer")
def defer_chunks(timestamp: int) -> int:  # noqa: ARG001 - the argument of every periodic task
    """Defer the chunks that are due, and return how many were not queued already."""
    deferred = 0
    for number in range(count_chunks()):
        try:
            verify.configure(queueing_lock=f"verify_signal.chunk {number}").defer(number=number)
        except AlreadyEnqueued:
            continue
        deferred += 1
    return deferred
