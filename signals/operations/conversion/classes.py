"""Find the convergent operation that stands in for one of Django's, or the reason why there is none."""

from django.contrib.postgres import operations as postgres
from django.contrib.postgres.operations import CreateExtension
from django.db import migrations
from django.db.migrations.operations.base import Operation
from django.db.migrations.operations.models import AlterOrderWithRespectTo
from django.db.migrations.state import ProjectState

from .. import OPERATIONS

SENT_AGAIN = "it is one short statement, which may be sent again"
_NAME = "the names in a database do not tell whether it is done"
_STAYS: dict[type[Operation], str] = {
    migrations.AlterModelTable: _NAME,
    AlterOrderWithRespectTo: "no field declares its column",
    migrations.DeleteModel: "a table of that name, with its rows, may not be the declared one",
    migrations.RunPython: "its effect is unknown (BackfillInBatches fills a column)",
    migrations.RunSQL: "its effect is unknown",
    postgres.AddConstraintNotValid: "its check is to stay NOT VALID (AddCheckIfMissing validates it too)",
    postgres.ValidateConstraint: SENT_AGAIN,
}
_UNKNOWN = "no convergent operation stands in for it"
_NO_KIND = "its class is no check, uniqueness or exclusion of Django's own"


def stand_in(operation: Operation, before: ProjectState, app_label: str) -> Operation | str:
    """Return the convergent operation that stands in for the operation, or why there is none.

    AlterField is converted in fields.py.
    """
    if isinstance(operation, CreateExtension):
        return SENT_AGAIN
    kind = type(operation)
    classes = [each for each in OPERATIONS if kind in each.stands_for]
    try:
        answers = [each.from_stock(operation, before, app_label) for each in classes]
    except ValueError as error:  # a name that PostgreSQL would cut off
        return str(error)
    made = next((each for each in answers if each is not None), None)
    if made is not None:
        return made
    return _NO_KIND if classes else _STAYS.get(kind, _UNKNOWN)
