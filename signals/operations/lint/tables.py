"""What the state of the models knows of a table or a column that SQL names."""

from typing import Any

from django.db.migrations.state import ModelState

from .steps import Step, named_columns


def relation(node: dict[str, Any]) -> str:
    """Return the name of the table that the parser found a statement to work on; empty if it is another."""
    return str(node.get("relation", {}).get("relname", ""))


def options(node: dict[str, Any], key: str) -> set[str]:
    """Return the names of the statement's options."""
    return {each["DefElem"]["defname"] for each in node.get(key, ())}


def is_existing(step: Step, table: str) -> bool:
    """Return whether a release before this one may have the table.

    A table that no model has is taken for one that existed, unless SQL of this release has made it.
    """
    if table in step.release.tables:
        return False
    model = step.models_by_table.get(table)
    return model is None or (model.app_label, model.name_lower) not in step.release.models


def is_in_use(step: Step, table: str, column: str = "") -> bool:
    """Return whether the release that still runs knows the table, or the column."""
    if (table, column) in step.release.removed or (table, "") in step.release.removed:
        return True
    model = step.models_by_table.get(table)
    if model is None:
        return False
    key = (model.app_label, model.name_lower)
    if key in step.release.models:
        return False
    if not column:
        return True
    name = dict(named_columns(model)).get(column)
    return name is not None and (key, name) not in step.release.columns


def declared_field(step: Step, table: str, column: str) -> Any:
    """Return the field of the column; None if no model declares it."""
    found = declaration(step, table, column)
    return found[0].fields[found[1]] if found else None


def declaration(step: Step, table: str, column: str) -> tuple[ModelState, str] | None:
    """Return the model that declares the column, and the name of its field."""
    model = step.models_by_table.get(table)
    name = dict(named_columns(model)).get(column) if model else None
    return (model, name) if model and name else None
