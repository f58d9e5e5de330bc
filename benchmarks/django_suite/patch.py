"""Puts the convergent operations in the place of Django's, in the process of a test run.

Each stand-in has the name and the description of the operation that it stands in for, so that what
a test says of those hides nothing of what it says of the database and the state.
"""

from collections import Counter
from functools import wraps
from types import SimpleNamespace
from typing import Any, ClassVar

from django.contrib.postgres import operations as postgres
from django.contrib.postgres.constraints import ExclusionConstraint
from django.db import migrations, models
from django.db.backends.postgresql.base import DatabaseWrapper
from django.db.migrations import autodetector
from django.db.migrations import operations as django

from signals import operations

# Django's operation, what stands in for it, and for constraints of which type.
STAND_INS: list[tuple[Any, Any, type | None]] = [
    (django.CreateModel, operations.CreateTableIfMissing, None),
    (django.AddField, operations.AddColumnIfMissing, None),
    (django.AddIndex, operations.CreateIndexConcurrentlyIfMissing, None),
    (postgres.AddIndexConcurrently, operations.CreateIndexConcurrentlyIfMissing, None),
    (django.AddConstraint, operations.AddCheckIfMissing, models.CheckConstraint),
    (django.AddConstraint, operations.AddUniqueIfMissing, models.UniqueConstraint),
    (django.AddConstraint, operations.AddExclusionIfMissing, ExclusionConstraint),
    (django.AlterIndexTogether, operations.AlterIndexTogetherIfNeeded, None),
    (django.AlterModelTableComment, operations.AlterTableCommentIfDifferent, None),
    (django.AlterUniqueTogether, operations.AlterUniqueTogetherIfNeeded, None),
    (django.RenameField, operations.RenameColumnIfNeeded, None),
    (django.RenameIndex, operations.RenameIndexIfNeeded, None),
    (django.RenameModel, operations.RenameTableIfNeeded, None),
]

# What of a field makes its type, and nothing else.
_OF_TYPE = {"class", "max_length", "max_digits", "decimal_places"}


class Switch:
    """What Django's name stands for: calls make the stand-in, or Django's operation where it refuses.

    uses: how often it made which, by a text.
    """

    uses: ClassVar[Counter[str]] = Counter()

    def __init__(self, original: Any) -> None:
        self.original = original
        self.stand_ins = [
            (_disguised(original, stand_in), stand_in, constraint)
            for each, stand_in, constraint in STAND_INS
            if each is original
        ]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        name = self.original.__name__
        reason = "another type of constraint"
        for disguised, stand_in, constraint in self.stand_ins:
            given = [*args, *kwargs.values()]
            if constraint and not any(isinstance(each, constraint) for each in given):
                continue
            try:
                made = disguised(*args, **kwargs)
            except (TypeError, ValueError) as error:
                reason = str(error)
                break
            self.uses[f"{name} became {stand_in.__name__}"] += 1
            return made
        made = self.original(*args, **kwargs)  # where this refuses too, a test asks for that
        self.uses[f"{name} stayed Django's: {reason}"] += 1
        return made

    def __mro_entries__(self, bases: Any) -> tuple[Any, ...]:
        return (self.original,)

    def __instancecheck__(self, instance: object) -> bool:
        return isinstance(instance, self.original)

    def __subclasscheck__(self, subclass: type) -> bool:
        return issubclass(subclass, self.original)

    def __eq__(self, other: object) -> bool:
        """The migration writer asks whether a name in django.db.migrations is the operation's class."""
        return other in (self.original, *(disguised for disguised, *_ in self.stand_ins))

    def __hash__(self) -> int:
        return hash(self.original)


def patch() -> None:
    """Replaces the names, and makes every schema editor non-atomic, as the operations ask for.

    The autodetector goes on making Django's operations.
    """
    autodetector.operations = SimpleNamespace(  # type: ignore[attr-defined]
        **{name: getattr(django, name) for name in django.__all__}
    )
    for original in {names[0] for names in STAND_INS}:
        name, switch = original.__name__, Switch(original)
        for module in (django, migrations, postgres):
            if getattr(module, name, None) is original:
                setattr(module, name, switch)
    methods = {name: _alter_field(name) for name in ("database_forwards", "database_backwards")}
    for name, method in methods.items():
        setattr(django.AlterField, name, method)
    DatabaseWrapper.schema_editor = _non_atomic(DatabaseWrapper.schema_editor)  # type: ignore[method-assign]


def _alter_field(direction: str) -> Any:
    """AlterField's method, which leaves it to the operations to alter the type, or to take NULL away."""
    original = django.AlterField.database_forwards  # Django's way back is the way forward, too

    @wraps(original)
    def wrapped(self: Any, app_label: str, editor: Any, *states: Any) -> None:
        old, new = (
            state.models[app_label, self.model_name_lower].fields[self.name] for state in states
        )
        if direction == "database_backwards":
            old, new = new, old
        changes = _changes(old, new)
        stand_in: Any = None
        if changes == {"null"} and not new.null:
            stand_in = operations.SetNotNullIfNullable
        elif changes == {"db_comment"}:
            stand_in = operations.AlterColumnCommentIfDifferent
        elif changes and changes <= _OF_TYPE and not old.many_to_many and not new.many_to_many:
            stand_in = operations.AlterColumnTypeIfDifferent
        what = f"became {stand_in.__name__}" if stand_in else "stayed Django's"
        Switch.uses[f"AlterField {what}"] += 1
        if stand_in is None:
            original(self, app_label, editor, *states)
        else:
            made = stand_in(self.model_name, self.name, self.field, self.preserve_default)
            getattr(made, direction)(app_label, editor, *states)

    return wrapped


def _changes(old: Any, new: Any) -> set[str]:
    """The names of the arguments in which the fields differ; `class` stands for their classes."""
    (_, path, args, rest), (_, new_path, new_args, new_rest) = old.deconstruct(), new.deconstruct()
    changes = {name for name in rest | new_rest if rest.get(name) != new_rest.get(name)}
    return changes if (path, args) == (new_path, new_args) else {*changes, "class"}


def _disguised(original: Any, stand_in: Any) -> Any:
    return type(original.__name__, (stand_in,), {"describe": original.describe})


def _non_atomic(schema_editor: Any) -> Any:
    @wraps(schema_editor)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        return schema_editor(self, *args, **{**kwargs, "atomic": False})

    return wrapped
