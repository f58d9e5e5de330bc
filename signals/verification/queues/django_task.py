"""The job as a task of django.tasks, or of its backport django-tasks on Django 5.2.

`verify.enqueue()` puts a chunk into the queue of the backend; cron or any scheduler calls it. A worker that
is killed leaves nothing half written: what it had claimed is due when its lease ends.
"""

from importlib.util import find_spec

if find_spec("django.tasks"):
    from django.tasks import task
else:
    from django_tasks import task  # type: ignore[no-redef,unused-ignore] # the same

from signals.verification.queues.chunks import verify_chunk


@task()
def verify() -> dict[str, int]:
    """Check a chunk of the signals that are due, and return its counts."""
    return verify_chunk()
