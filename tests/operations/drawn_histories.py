"""Draw histories of Django's operations: what a project's migrations do to a few models in its life."""

import copy
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import ArrayField, DateRangeField, IntegerRangeField
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVector, SearchVectorField
from django.db import migrations, models
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ModelState, ProjectState
from django.db.models import F, Q, Value
from django.db.models.functions import Length, Upper
from hypothesis import strategies as st

from tests.operations.row_values import value_of
from tests.operations.scratch_schema import APP

ID = ("id", models.BigAutoField(primary_key=True))
MODELS, FIELDS = ("Part", "Box", "Shelf"), ("a", "b", "c", "d", "e")
LONGEST = 7  # operations
OF_A_MODEL = 4  # fields that it is created with

TEXTS = (models.CharField, models.TextField)
RANGES = (IntegerRangeField, DateRangeField)

PLAIN: dict[str, tuple[type[Any], dict[str, Any]]] = {
    "char": (models.CharField, {"max_length": 9}),
    "longer char": (models.CharField, {"max_length": 40}),
    "text": (models.TextField, {}),
    "slug": (models.SlugField, {}),
    "email": (models.EmailField, {}),
    "integer": (models.IntegerField, {}),
    "small": (models.SmallIntegerField, {}),
    "big": (models.BigIntegerField, {}),
    "positive": (models.PositiveIntegerField, {}),
    "decimal": (models.DecimalField, {"max_digits": 9, "decimal_places": 2}),
    "longer decimal": (models.DecimalField, {"max_digits": 12, "decimal_places": 3}),
    "float": (models.FloatField, {}),
    "truth": (models.BooleanField, {}),
    "date": (models.DateField, {}),
    "at": (models.DateTimeField, {}),
    "time": (models.TimeField, {}),
    "duration": (models.DurationField, {}),
    "json": (models.JSONField, {}),
    "uuid": (models.UUIDField, {}),
    "ip": (models.GenericIPAddressField, {}),
    "bytes": (models.BinaryField, {}),
    "search": (SearchVectorField, {}),
    "range": (IntegerRangeField, {}),
    "days": (DateRangeField, {}),
    "texts": (ArrayField, {"base_field": models.CharField(max_length=9)}),
    "numbers": (ArrayField, {"base_field": models.IntegerField(), "size": 3}),
}
WITHOUT_ORDER = (models.JSONField, models.BinaryField, SearchVectorField, ArrayField, *RANGES)


def _kinds(draw: Any) -> Any:
    kind, arguments = PLAIN[draw(st.sampled_from(sorted(PLAIN)))]
    return kind, dict(arguments)


def _plain(draw: Any) -> Any:
    """Draw a field of a column of its own."""
    kind, arguments = _kinds(draw)
    return _with_options(draw, kind, arguments)


def _with_options(draw: Any, kind: type[Any], arguments: dict[str, Any]) -> Any:
    options = draw(st.sets(st.sampled_from(_options(kind)), max_size=3))
    if "null" in options:
        arguments["null"] = True
    if "index" in options:
        arguments["unique" if draw(st.booleans()) else "db_index"] = True
    if "collation" in options:
        arguments["db_collation"] = "C"
    if "comment" in options:
        arguments["db_comment"] = draw(st.sampled_from(["of old", "it's old"]))
    if "choices" in options:
        arguments["choices"] = [("1", "one"), ("2", "two")]
    if "column" in options:
        arguments["db_column"] = draw(st.sampled_from(["Old Name", "select"]))
    if "help" in options:
        arguments["help_text"] = "Of no matter to the database."
    value = value_of(kind(**arguments), draw(st.integers(1, 3)))
    if "default" in options:
        arguments["default"] = _default(value)
    if "database default" in options:
        arguments["db_default"] = value
    return kind(**arguments)


def _default(value: Any) -> Any:
    """Return the value, or the class that makes one, if the value can be changed."""
    return {list: list, dict: dict}.get(type(value), value)


def _options(kind: type[Any]) -> list[str]:
    found = ["null", "comment", "help", "default", "database default", "null", "default"]
    if not issubclass(kind, WITHOUT_ORDER):
        found += ["index", "index"]
    if issubclass(kind, TEXTS):
        found += ["collation", "choices"]
    return [*found, "column"]


def _reference(draw: Any, state: ProjectState) -> Any:
    """Draw a field that refers to a model."""
    target = draw(st.sampled_from(sorted(each.name for each in state.models.values())))
    to = f"{APP}.{target}"
    kind = draw(st.sampled_from(["key", "key", "one to one", "many to many"]))
    if kind == "many to many":
        return models.ManyToManyField(to, related_name="+")
    arguments: dict[str, Any] = {"null": draw(st.booleans()), "related_name": "+"}
    arguments["on_delete"] = models.CASCADE
    for option in draw(st.sets(st.sampled_from(["db_index", "db_constraint"]), max_size=1)):
        if kind == "key" or option == "db_constraint":
            arguments[option] = False
    return (models.ForeignKey if kind == "key" else models.OneToOneField)(to, **arguments)


def _generated(draw: Any, fields: dict[str, Any]) -> Any | None:
    """Draw a generated field over one of the others; None if there is none to compute with."""
    made = [
        each
        for name, field in fields.items()
        if type(field) in (*TEXTS, models.IntegerField, models.SmallIntegerField)
        and not getattr(field, "choices", None)
        for each in _over(name, field)
    ]
    if not made:
        return None
    expression, output = draw(st.sampled_from(made))
    indexed = not isinstance(output, SearchVectorField) and draw(st.booleans())
    return models.GeneratedField(
        expression=expression, output_field=output, db_persist=True, db_index=indexed
    )


def _over(name: str, field: Any) -> Iterator[tuple[Any, Any]]:
    if not isinstance(field, TEXTS):
        yield F(name) + 1, models.IntegerField(null=True)
        yield F(name) * Value(2), models.BigIntegerField(null=True)
    elif getattr(field, "db_collation", None) is None:
        yield Upper(name), models.CharField(max_length=40, null=True)
        yield Length(name), models.IntegerField(null=True)
        yield SearchVector(name, config="english"), SearchVectorField(null=True)


def _field(draw: Any, state: ProjectState, fields: dict[str, Any]) -> Any:
    kind = draw(st.sampled_from(["plain", "plain", "plain", "reference", "generated"]))
    if kind == "reference" and state.models:
        return _reference(draw, state)
    return (_generated(draw, fields) if kind == "generated" else None) or _plain(draw)


def _columns(model: ModelState, *, ordered: bool = True, together: bool = False) -> list[str]:
    """Return the names of the fields that an index or constraint can have; together: by unique_together.

    Leave out unique fields there: with such a field's uniqueness Django drops that of the two together.
    """
    return [
        name
        for name, field in model.fields.items()
        if not field.many_to_many and not field.primary_key and not (together and field.unique)
        if not (ordered and isinstance(field, WITHOUT_ORDER))
        if not (field.generated and isinstance(field.output_field, SearchVectorField))
    ]


def _some(draw: Any, names: Sequence[str]) -> list[str]:
    return list(draw(st.lists(st.sampled_from(names), min_size=1, max_size=2, unique=True)))


def _condition(draw: Any, model: ModelState) -> Q:
    """Draw a condition on one of the model's fields."""
    name = draw(st.sampled_from(_columns(model, ordered=False)))
    field = model.fields[name]
    found = [Q(**{f"{name}__isnull": False}), Q(**{f"{name}__isnull": True}) | Q(id__gt=0)]
    if type(field) in TEXTS:
        found += [Q(**{f"{name}__in": ["1", "2"]}) | Q(id__gt=0), ~Q(**{name: "it's"})]
    if isinstance(field, models.IntegerField | models.DecimalField):
        found += [Q(**{f"{name}__gte": 0}), Q(**{f"{name}__in": [1, 2]}) | Q(id__gt=0)]
    return draw(st.sampled_from(found))


def _index(draw: Any, model: ModelState, name: str) -> Any:
    names = _some(draw, _columns(model))
    arrays = [each for each, field in model.fields.items() if isinstance(field, ArrayField)]
    texts = [each for each in names if type(model.fields[each]) in TEXTS]
    made = [models.Index(fields=names, name=name)]
    made += [models.Index(fields=[f"-{each}" for each in names], name=name)]
    made += [models.Index(fields=names, name=name, condition=_condition(draw, model))]
    made += [models.Index(fields=names, name=name, include=["id"])]
    made += [models.Index(Upper(each), name=name) for each in texts]
    made += [GinIndex(fields=[each], name=name) for each in arrays]
    return draw(st.sampled_from(made))


def _constraint(draw: Any, model: ModelState, name: str) -> Any:
    names = _some(draw, _columns(model))
    condition = _condition(draw, model)
    ranges = [each for each, field in model.fields.items() if type(field) in RANGES]
    made: list[Any] = [
        models.CheckConstraint(condition=condition, name=name),
        models.UniqueConstraint(fields=names, name=name),
        models.UniqueConstraint(fields=names, name=name, condition=condition),
        models.UniqueConstraint(fields=names, name=name, include=["id"]),
        models.UniqueConstraint(fields=names, name=name, deferrable=models.Deferrable.DEFERRED),
        models.UniqueConstraint(*(F(each).desc() for each in names), name=name),
    ]
    made += [ExclusionConstraint(name=name, expressions=[(each, "&&")]) for each in ranges]
    return draw(st.sampled_from(made))


def _used(model: ModelState, *, together: bool = True) -> set[str]:
    """Return the names of the fields that an index, a constraint or a generated field of the model has."""
    parts = [*model.options.get("indexes", ()), *model.options.get("constraints", ())]
    found = {each for part in parts for each in _names(part)}
    for field in model.fields.values():
        if field.generated:
            found |= set(_names(field.expression))
    if together:
        for option in ("unique_together", "index_together"):
            found |= {each for names in model.options.get(option) or () for each in names}
    return found


def _names(part: Any) -> Iterator[str]:
    """Yield every name that the part mentions, and more: what it holds is searched for texts."""
    if isinstance(part, str):
        yield part.removeprefix("-").partition("__")[0]
    elif isinstance(part, F):
        yield part.name
    elif isinstance(part, dict):
        for each in part.values():
            yield from _names(each)
    elif isinstance(part, Iterable):
        for each in part:
            yield from _names(each)
    elif hasattr(part, "get_source_expressions"):
        yield from _names(part.get_source_expressions())
    elif hasattr(part, "deconstruct"):
        yield from _names(part.deconstruct()[1:])


def _is_referred_to(state: ProjectState, name: str) -> bool:
    wanted = f"{APP}.{name}".lower()
    return any(
        str(field.remote_field.model).lower() == wanted
        for model in state.models.values()
        for field in model.fields.values()
        if field.remote_field and model.name != name
    )


def _once(draw: Any, field: Any) -> tuple[Any, bool]:
    """Return the field as makemigrations asks for it: with a default for the rows that there are."""
    if field.many_to_many or field.generated or field.null:
        return field, True
    if field.has_default() or field.has_db_default() or field.remote_field:
        return field, True
    made = field.clone()
    made.default = _default(value_of(field, draw(st.integers(1, 3))))
    return made, False


@st.composite
def histories(draw: Any) -> list[Operation]:
    """Draw a history; the rows may not allow all of it."""
    state, made = ProjectState(), []
    for number in range(draw(st.integers(2, LONGEST))):
        operation = _operation(draw, state, number)
        if operation is not None:
            copy.deepcopy(operation).state_forwards(APP, state)
            made.append(operation)
    return made


def _operation(draw: Any, state: ProjectState, number: int) -> Operation | None:
    """Draw an operation that the state allows."""
    free = [name for name in MODELS if (APP, name.lower()) not in state.models]
    if not state.models or (free and draw(st.integers(0, 4)) == 0):
        return _creation(draw, state, free[0], number)
    model = state.models[draw(st.sampled_from(sorted(state.models)))]
    drawn = draw(st.sampled_from(CHANGES))(draw, state, model, number)
    return drawn if isinstance(drawn, Operation) else None


def _creation(draw: Any, state: ProjectState, name: str, number: int) -> Operation:
    fields: dict[str, Any] = dict([ID])
    for each in FIELDS[: draw(st.integers(1, OF_A_MODEL))]:
        fields[each] = _field(draw, state, fields)
    # CREATE TABLE makes one constraint of a unique field and of a uniqueness of that field alone, and with
    # that one Django takes away both.
    others = [(each, field) for each, field in fields.items() if not field.unique]
    model, options = ModelState(APP, name, others), {}
    if _columns(model) and draw(st.booleans()):
        options = draw(
            st.sampled_from(
                [
                    {"unique_together": {tuple(_some(draw, _columns(model)))}},
                    {"indexes": [_index(draw, model, f"index_{number}")]},
                    {"constraints": [_constraint(draw, model, f"constraint_{number}")]},
                    {"db_table": f"Table {number}"},
                    {"ordering": ["id"], "db_table_comment": "it's old"},
                ]
            )
        )
    return migrations.CreateModel(name, list(fields.items()), options)


def _add_field(draw: Any, state: ProjectState, model: ModelState, _: int) -> Operation | None:
    free = [name for name in FIELDS if name not in model.fields]
    if not free:
        return None
    field, preserved = _once(draw, _field(draw, state, model.fields))
    return migrations.AddField(model.name, free[0], field, preserve_default=preserved)


def _alter_field(draw: Any, state: ProjectState, model: ModelState, _: int) -> Operation | None:
    names = [name for name, field in model.fields.items() if name != "id" and not field.generated]
    if not names:
        return None
    name = draw(st.sampled_from(names))
    field = model.fields[name]
    if field.remote_field:
        new = _reference(draw, state)
    elif name in _used(model) or draw(st.booleans()):
        # An expression or condition need not be one of another type, so the kind stays.
        arguments = PLAIN[_kind_of(field)][1]
        new = _with_options(draw, type(field), dict(arguments))
    else:
        new = _plain(draw)
    if new.unique and (name,) in (model.options.get("unique_together") or ()):
        return None
    if field.db_index and not new.db_index and _has_unique_index(model, name):
        return None
    new, preserved = _once(draw, new)
    return migrations.AlterField(model.name, name, new, preserve_default=preserved)


def _has_unique_index(model: ModelState, name: str) -> bool:
    """Return whether a uniqueness of the field alone is an index, which Django drops with the field's own."""
    return any(
        isinstance(each, models.UniqueConstraint)
        and list(each.fields) == [name]
        and {"condition", "include", "opclasses"} & each.deconstruct()[2].keys()
        for each in model.options.get("constraints", ())
    )


def _kind_of(field: Any) -> str:
    return next(name for name, (kind, _) in PLAIN.items() if kind is type(field))


def _rename_field(draw: Any, _state: Any, model: ModelState, _: int) -> Operation | None:
    used = _used(model, together=False)
    names = [name for name in model.fields if name != "id" and name not in used]
    free = [name for name in FIELDS if name not in model.fields]
    if not names or not free:
        return None
    return migrations.RenameField(model.name, draw(st.sampled_from(names)), free[-1])


def _remove_field(draw: Any, _state: Any, model: ModelState, _: int) -> Operation | None:
    names = [name for name in model.fields if name != "id" and name not in _used(model)]
    return migrations.RemoveField(model.name, draw(st.sampled_from(names))) if names else None


def _rename_model(draw: Any, state: ProjectState, model: ModelState, _: int) -> Operation | None:
    free = [name for name in MODELS if (APP, name.lower()) not in state.models]
    return migrations.RenameModel(model.name, draw(st.sampled_from(free))) if free else None


def _delete_model(_: Any, state: ProjectState, model: ModelState, _number: int) -> Operation | None:
    is_used = _is_referred_to(state, model.name)
    return None if is_used else migrations.DeleteModel(model.name)


def _change_indexes(draw: Any, _: Any, model: ModelState, number: int) -> Operation | None:
    known = [each.name for each in model.options.get("indexes", ())]
    if known and draw(st.booleans()):
        name = draw(st.sampled_from(known))
        if draw(st.booleans()):
            return migrations.RemoveIndex(model.name, name)
        return migrations.RenameIndex(model.name, old_name=name, new_name=f"index_{number}")
    if not _columns(model):
        return None
    return migrations.AddIndex(model.name, _index(draw, model, f"index_{number}"))


def _change_constraints(draw: Any, _: Any, model: ModelState, number: int) -> Operation | None:
    known = [each.name for each in model.options.get("constraints", ())]
    if known and draw(st.booleans()):
        return migrations.RemoveConstraint(model.name, draw(st.sampled_from(known)))
    if not _columns(model):
        return None
    return migrations.AddConstraint(model.name, _constraint(draw, model, f"constraint_{number}"))


def _change_together(draw: Any, _: Any, model: ModelState, _number: int) -> Operation | None:
    names = _columns(model, together=True)
    if not names:
        return None
    wanted = {tuple(_some(draw, names))} if draw(st.booleans()) else set()
    return migrations.AlterUniqueTogether(model.name, wanted)


def _change_indexed_together(draw: Any, _: Any, model: ModelState, number: int) -> Operation | None:
    """Draw what migrations of before Django 5.1 do, or give such an index a name."""
    known = sorted(model.options.get("index_together") or ())
    if known and draw(st.booleans()):
        fields = draw(st.sampled_from(known))
        return migrations.RenameIndex(model.name, new_name=f"index_{number}", old_fields=fields)
    names = [each for each in _columns(model) if not _is_indexed(model.fields[each])]
    if not names:
        return None
    wanted = {tuple(_some(draw, names))} if not known or draw(st.booleans()) else set()
    return migrations.AlterIndexTogether(model.name, wanted)


def _is_indexed(field: Any) -> bool:
    return bool(field.unique or getattr(field, "db_index", False))


def _change_table(draw: Any, _: Any, model: ModelState, number: int) -> Operation:
    return draw(
        st.sampled_from(
            [
                migrations.AlterModelTable(model.name, f"Table {number}"),
                migrations.AlterModelTableComment(model.name, f"it's {number}"),
                migrations.AlterModelOptions(model.name, {"ordering": ["id"]}),
            ]
        )
    )


CHANGES = (
    *(_add_field, _add_field, _alter_field, _alter_field, _alter_field, _rename_field),
    *(_remove_field, _rename_model, _delete_model, _change_indexes, _change_indexes),
    *(_change_constraints, _change_constraints, _change_together, _change_indexed_together),
    *(_change_table, _change_table),
)
