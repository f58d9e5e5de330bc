"""The settings of lint_migrations: CONVERGENT_MIGRATIONS["LINT"]."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from ..execution.policy import LINT
from .rules import RULE_OF, Level, Rule

_KEYS = ("RULES", "BASELINE")
_WHERE = f"CONVERGENT_MIGRATIONS[{LINT!r}]"


@dataclass(frozen=True, slots=True)
class LintOptions:
    """How findings count, and where the accepted ones are kept.

    levels: by the ids of the rules whose level the settings change.
    baseline: the path of the file of the accepted findings; empty if there is none.
    """

    levels: Mapping[str, Level] = field(default_factory=dict)
    baseline: str = ""

    @classmethod
    def from_settings(cls) -> "LintOptions":
        """Return the options; raise ImproperlyConfigured, with the key and the fix, for what is none."""
        given = getattr(settings, "CONVERGENT_MIGRATIONS", {}).get(LINT, {})
        if not isinstance(given, Mapping):
            raise ImproperlyConfigured(f"{_WHERE} is {given!r} (use a dictionary)")
        for key in given:
            if key not in _KEYS:
                raise ImproperlyConfigured(
                    f"{_WHERE}[{key!r}] is not a setting (use {', '.join(_KEYS)})"
                )
        baseline = given.get("BASELINE", "")
        if not isinstance(baseline, str | Path):
            raise ImproperlyConfigured(
                f"{_WHERE}['BASELINE'] is {baseline!r} (use the path of a file)"
            )
        return cls(dict(map(_level, *_items(given.get("RULES", {})))), str(baseline))

    def level(self, rule: Rule) -> Level:
        return self.levels.get(rule.id, rule.level)

    def turned_off(self) -> set[str]:
        """Return the ids of the rules that the settings turn off."""
        return {name for name, level in self.levels.items() if level is Level.OFF}


def _items(rules: Any) -> tuple[list[Any], list[Any]]:
    if not isinstance(rules, Mapping):
        raise ImproperlyConfigured(f"{_WHERE}['RULES'] is {rules!r} (use a dictionary)")
    return list(rules), list(rules.values())


def _level(name: Any, value: Any) -> tuple[str, Level]:
    where = f"{_WHERE}['RULES'][{name!r}]"
    rule = RULE_OF.get(name)
    if rule is None:
        raise ImproperlyConfigured(f"{where} is not a rule (use one of docs/lint.md)")
    if value not in list(Level):
        raise ImproperlyConfigured(f"{where} is {value!r} (use {', '.join(Level)})")
    return rule.id, Level(value)
