"""What Django's log keeps of a save: the fields that were changed, with their old and new values."""

from typing import Any, Final

from signals.admin.columns import EMPTY_VALUE
from signals.texts import shortened

MAX_LOGGED: Final = 200
"""Characters of a value in the log."""


def with_values(message: list[dict[str, Any]], form: Any) -> list[dict[str, Any]]:
    """Return Django's message on the form with the old and new value of each field that was changed."""
    values = {
        name: [_text(form.initial.get(name)), _text(_stored(form.cleaned_data.get(name)))]
        for name in form.changed_data
    }
    for part in message:
        if "changed" in part and "name" not in part["changed"]:
            part["changed"] |= {
                "fields": [
                    f"{form.fields[name].label or name} from “{old}” to “{new}”"
                    for name, (old, new) in values.items()
                ],
                "values": values,
            }
    return message


def _stored(value: Any) -> Any:
    """Return the key of a row, and any other value as it is."""
    return getattr(value, "pk", value)


def _text(value: Any) -> str:
    return shortened(str(value), MAX_LOGGED) if value not in (None, "") else EMPTY_VALUE
