"""Check the plan of a run of `migrate` before its first statement."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.migration import Migration
from django.db.models.signals import pre_migrate

PlanCheck = Callable[[Sequence[tuple[Migration, bool]], Any], None]


@contextmanager
def checking_plan(connection: BaseDatabaseWrapper, *checks: PlanCheck) -> Iterator[None]:
    """Call the checks once, before the first statement of the `migrate` that runs within the block.

    They get its plan and the models before it. A plan without migrations is not checked.
    """
    is_checked = False

    def check(
        *, using: str, plan: Sequence[tuple[Migration, bool]], apps: Any, **_unused: Any
    ) -> None:
        nonlocal is_checked
        if plan and using == connection.alias and not is_checked:
            is_checked = True
            for each in checks:
                each(plan, apps)

    pre_migrate.connect(check, weak=False)
    try:
        yield
    finally:
        pre_migrate.disconnect(check)
