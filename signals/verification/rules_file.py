"""Reading the rules file; it is validated as a whole, and each problem is reported with its path."""

import hashlib
import math
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictInt, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from signals.choices import WINDOW_MINUTES
from signals.verification import strict_yaml
from signals.verification.errors import Problem, RulesError
from signals.verification.rules import FEATURE_RANGES, Condition, Operator, Rules, in_range
from signals.verification.verdict import Feature

SHIPPED_RULES: Final = Path(__file__).with_name("rules") / "onchain.yml"
"""The path of the rules file that is used unless ONCHAIN_RULES_FILE names another."""
MAX_FILE_BYTES: Final = 64 * 1024
"""A larger file is refused."""

_CONDITION: Final = re.compile(r"(\w+)\s*(>=|<=|>|<)\s*(\S+)")
_LABEL: Final = re.compile(r"[a-z][a-z0-9_]*")
_NUMBER: Final = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?", re.IGNORECASE)
_NOT_FINITE: Final = re.compile(r"[+-]?\.?(nan|inf|infinity)", re.IGNORECASE)


def _number(value: Any) -> Decimal:
    """Return a YAML number as a decimal; a bool is refused, although it is an int in Python."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise PydanticCustomError("number", "is not a number")
    number = Decimal(value)
    if not math.isfinite(float(number)):
        raise PydanticCustomError("finite", "is not a finite number")
    return number


Labels = dict[str, Annotated[Decimal, BeforeValidator(_number)]]
Thresholds = Mapping[str, Mapping[str, Decimal]]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Verdict(_Section):
    upgrade_if: Annotated[list[str], Field(min_length=1)]
    downgrade_if: Annotated[list[str], Field(min_length=1)]


class _File(_Section):
    windows: Annotated[list[StrictInt], Field(min_length=1)]
    thresholds: Annotated[dict[str, Annotated[Labels, Field(min_length=1)]], Field(min_length=1)]
    verdict: _Verdict


_TEXTS: Final[Mapping[str, str]] = {
    "missing": "is missing",
    "extra_forbidden": "is not a key of the rules (only windows, thresholds, verdict, there "
    "upgrade_if, downgrade_if)",
    "int_type": "is not a whole number",
    "string_type": "is not a text",
    "list_type": "is not a list",
    "dict_type": "is not a mapping",
    "model_type": "is not a mapping",
    "model_attributes_type": "is not a mapping",
    "too_short": "is empty",
}


def load_rules(file: Path) -> Rules:
    """Return the rules in `file`; raise RulesError if the file cannot be read or has a fault."""
    try:
        # Opening a FIFO would wait for somebody who writes to it.
        with open(
            file, "rb", opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK)
        ) as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                fault = Problem("", "is not a regular file (set ONCHAIN_RULES_FILE)")
                raise RulesError(file, (fault,))
            content = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        fault = Problem("", f"cannot be read: {error.strerror} (set ONCHAIN_RULES_FILE)")
        raise RulesError(file, (fault,)) from None
    return parse_rules(file, content)


def parse_rules(file: Path, content: bytes) -> Rules:
    """Return the rules in the bytes of `file`; raise RulesError with all faults if there are any."""
    if len(content) > MAX_FILE_BYTES:
        raise RulesError(file, (Problem("", f"is larger than {MAX_FILE_BYTES} bytes"),))
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        fault = Problem("", f"not YAML: not UTF-8 at byte {error.start} (save it as UTF-8)")
        raise RulesError(file, (fault,)) from None
    try:
        written = _File.model_validate(strict_yaml.parse_yaml(content))
    except strict_yaml.NotPlainYaml as error:
        raise RulesError(file, error.problems) from None
    except ValidationError as error:
        faults = tuple(map(_fault, error.errors(include_url=False)))
        raise RulesError(file, faults) from None
    upgrade, downgrade = (
        tuple(_conditions(f"verdict.{name}", getattr(written.verdict, name), written.thresholds))
        for name in ("upgrade_if", "downgrade_if")
    )
    faults = (
        *_window_faults(written.windows),
        *_threshold_faults(written.thresholds),
        *(entry for entry in (*upgrade, *downgrade) if isinstance(entry, Problem)),
    )
    if faults:
        raise RulesError(file, faults)
    return Rules(
        windows=frozenset(written.windows),
        upgrade_if=tuple(entry for entry in upgrade if isinstance(entry, Condition)),
        downgrade_if=tuple(entry for entry in downgrade if isinstance(entry, Condition)),
        sha256=hashlib.sha256(content).hexdigest(),
        text=text,
    )


def _fault(details: ErrorDetails) -> Problem:
    """Return an error of pydantic in a wording that does not change with pydantic's version."""
    path = ""
    for key in details["loc"]:
        path = strict_yaml.join_path(path, key)
    text = _TEXTS.get(details["type"], details["msg"])
    return Problem(path, text)


def _window_faults(windows: Sequence[int]) -> Iterator[Problem]:
    for index, window in enumerate(windows):
        path = f"windows[{index}]"
        if window not in WINDOW_MINUTES:
            yield Problem(path, f"{window} is not a window (one of 30, 60, 180)")
        elif window in windows[:index]:
            yield Problem(path, f"{window} is there twice")


def _threshold_faults(thresholds: Thresholds) -> Iterator[Problem]:
    for name, labels in thresholds.items():
        path = strict_yaml.join_path("thresholds", name)
        if name not in Feature:
            yield Problem(path, _unknown_feature(name))
            continue
        for label, number in labels.items():
            where = strict_yaml.join_path(path, label)
            if not _LABEL.fullmatch(label) or _NOT_FINITE.fullmatch(label):
                yield Problem(where, "is not a label (a-z, 0-9 and _, a letter first)")
            elif fault := _number_fault(Feature(name), number):
                yield Problem(where, fault)


def _conditions(
    path: str, texts: Sequence[str], thresholds: Thresholds
) -> Iterator[Condition | Problem]:
    """Yield each text as a condition, or as the problem with it; an equal condition twice is a problem."""
    seen: set[Condition] = set()
    for index, text in enumerate(texts):
        entry = _condition(text, thresholds)
        where = strict_yaml.join_path(path, index)
        if isinstance(entry, str):
            yield Problem(where, entry)
        elif entry in seen:
            yield Problem(where, f"{text[:100]!r} is there twice")
        else:
            seen.add(entry)
            yield entry


def _condition(text: str, thresholds: Thresholds) -> Condition | str:
    """Return the condition in a text `feature OP label-or-number`, or a text that says what is wrong."""
    match = _CONDITION.fullmatch(text.strip())
    if not match:
        return f"{text[:100]!r} is not a condition (feature, then >=, <=, > or <, then a label or number)"
    name, sign, operand = match.groups()
    if name not in Feature:
        return _unknown_feature(name)
    if _NOT_FINITE.fullmatch(operand):
        return f"{operand!r} is not a finite number"
    if _NUMBER.fullmatch(operand):
        number = Decimal(operand)
        if fault := _number_fault(Feature(name), number):
            return fault
    else:
        labels = thresholds.get(name, {})
        if operand not in labels:
            known = ", ".join(labels) or "none"
            return f"unknown label {operand[:100]!r} (thresholds.{name} has: {known})"
        number = labels[operand]
    return Condition(Feature(name), Operator(sign), number)


def _number_fault(feature: Feature, number: Decimal) -> str | None:
    if in_range(feature, number) and math.isfinite(float(number)):
        return None
    low, high = map(float, FEATURE_RANGES[feature])
    return f"{float(number):g} is out of the range of {feature}, {low:g} to {high:g}"


def _unknown_feature(name: str) -> str:
    return f"unknown feature {name[:100]!r} (one of {', '.join(Feature.values)})"
