"""The form that confirms an action."""

from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError

from signals.action_models import SignalAction
from signals.admin.actions.kinds import OVERRIDE
from signals.choices import SignalState
from signals.texts import printable

MAX_REASON: Final = 500
"""Characters of a reason."""


class ConfirmForm(forms.Form):
    """Confirms the number that the page names."""

    number = forms.IntegerField(widget=forms.HiddenInput)

    def __init__(self, action: SignalAction, data: Any = None) -> None:
        self.action = action
        super().__init__(data, initial={"number": action.number})

    def clean_number(self) -> int:
        """Refuse another number than that of the signals that were frozen."""
        number: int = self.cleaned_data["number"]
        if number != self.action.number:
            raise ValidationError("This page is not the newest one: open the action again.")
        return number

    def to_change(self) -> int:
        """Return how many signals the action changes."""
        return self.action.number


class OverrideForm(ConfirmForm):
    """Asks for the state to set, and for the reason."""

    state = forms.ChoiceField(label="New state", widget=forms.RadioSelect)
    reason = forms.CharField(
        max_length=MAX_REASON,
        help_text=f"Kept with each signal, at most {MAX_REASON} characters on one line.",
        widget=forms.TextInput(attrs={"class": "vLargeTextField", "autocomplete": "off"}),
    )

    def __init__(self, action: SignalAction, data: Any = None) -> None:
        super().__init__(action, data)
        self.fields["state"].choices = [  # type: ignore[attr-defined] # of a ChoiceField
            (state, self._label(state)) for state in SignalState.values
        ]

    def _label(self, state: str) -> str:
        there = self.action.states[state]
        changed = self.action.number - there
        stays = f", {there:,} already {'is' if there == 1 else 'are'}" if there else ""
        return f"{state}: changes {changed:,} {'signal' if changed == 1 else 'signals'}{stays}"

    def clean_state(self) -> str:
        """Refuse a state that all signals have."""
        state: str = self.cleaned_data["state"]
        if self.action.states[state] == self.action.number:
            raise ValidationError(f"All are {state} already: choose another state.")
        return state

    def clean_reason(self) -> str:
        """Refuse characters that are not seen, and several lines."""
        reason: str = self.cleaned_data["reason"]
        if printable(reason) != reason or not reason.isprintable():
            raise ValidationError("Write the reason on one line, without control characters.")
        return reason

    def to_change(self) -> int:
        """Return how many signals get another state."""
        return int(self.action.number - self.action.states[self.cleaned_data["state"]])


def confirm_form(action: SignalAction, data: Any = None) -> ConfirmForm:
    """Return the form of the action's kind."""
    form = OverrideForm if action.kind == OVERRIDE.type.value else ConfirmForm
    return form(action, data)
