"""The rules file, and how its problems are reported."""

import hashlib
import os
from decimal import Decimal
from pathlib import Path

import pytest

from signals.verification.errors import RulesError
from signals.verification.rules import Condition, Operator
from signals.verification.rules_file import MAX_FILE_BYTES, SHIPPED_RULES, load_rules, parse_rules
from signals.verification.verdict import Feature

FILE = Path("rules.yml")
GOOD = """
windows: [60]
thresholds:
  growth_ratio: {fast: 2.0}
  top10_share: {high_risk: 0.7}
verdict:
  upgrade_if: [growth_ratio >= fast]
  downgrade_if: [top10_share >= high_risk]
"""


def faults(content: str | bytes) -> list[str]:
    """Return the faults of a file that is refused, without the file's name."""
    with pytest.raises(RulesError) as caught:
        parse_rules(FILE, content.encode() if isinstance(content, str) else content)
    lines = str(caught.value).split("\n")
    assert all(line.startswith("rules file 'rules.yml': ") for line in lines)
    return [line.removeprefix("rules file 'rules.yml': ") for line in lines]


def test_the_shipped_file_says_what_the_contract_says() -> None:
    rules = load_rules(SHIPPED_RULES)
    assert rules.windows == {30, 60, 180}
    assert rules.upgrade_if == (
        Condition(Feature.ACTIVE_ADDR_PCTL, Operator.AT_LEAST, Decimal("0.95")),
        Condition(Feature.GROWTH_RATIO, Operator.AT_LEAST, Decimal("2.0")),
    )
    assert rules.downgrade_if == (
        Condition(Feature.TOP10_SHARE, Operator.AT_LEAST, Decimal("0.7")),
        Condition(Feature.SELF_LOOP_RATIO, Operator.AT_LEAST, Decimal("0.2")),
    )
    assert rules.sha256 == hashlib.sha256(SHIPPED_RULES.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        (
            "growth_ratio >= fast",
            Condition(Feature.GROWTH_RATIO, Operator.AT_LEAST, Decimal("2.0")),
        ),
        ("growth_ratio<=fast", Condition(Feature.GROWTH_RATIO, Operator.AT_MOST, Decimal("2.0"))),
        (
            "  growth_ratio  >  1.5  ",
            Condition(Feature.GROWTH_RATIO, Operator.ABOVE, Decimal("1.5")),
        ),
        ("growth_ratio < +1e2", Condition(Feature.GROWTH_RATIO, Operator.BELOW, Decimal("100.0"))),
        ("top10_share < .5", Condition(Feature.TOP10_SHARE, Operator.BELOW, Decimal("0.5"))),
        (
            "self_loop_ratio >= 1",
            Condition(Feature.SELF_LOOP_RATIO, Operator.AT_LEAST, Decimal("1.0")),
        ),
    ],
)
def test_a_condition_is_feature_operator_and_label_or_number(
    text: str, condition: Condition
) -> None:
    content = GOOD.replace("[growth_ratio >= fast]", f"['{text}']")
    assert parse_rules(FILE, content.encode()).upgrade_if == (condition,)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        # keys
        ("windows: [60]", "", ["windows: is missing"]),
        (
            "windows: [60]",
            "windows: [60]\nwindow: 60",
            [
                (
                    "window: is not a key of the rules (only windows, thresholds, verdict, "
                    "there upgrade_if, downgrade_if)"
                )
            ],
        ),
        (
            "verdict:",
            "verdict:\n  hold_if: [growth_ratio > 1]",
            [
                (
                    "verdict.hold_if: is not a key of the rules (only windows, thresholds, verdict, "
                    "there upgrade_if, downgrade_if)"
                )
            ],
        ),
        ("  upgrade_if: [growth_ratio >= fast]\n", "", ["verdict.upgrade_if: is missing"]),
        # windows
        ("[60]", "[]", ["windows: is empty"]),
        ("[60]", "60", ["windows: is not a list"]),
        ("[60]", "[true]", ["windows[0]: is not a whole number"]),
        ("[60]", "[60.0]", ["windows[0]: is not a whole number"]),
        ("[60]", "[30, 45]", ["windows[1]: 45 is not a window (one of 30, 60, 180)"]),
        ("[60]", "[60, 60]", ["windows[1]: 60 is there twice"]),
        # thresholds
        ("2.0", "true", ["thresholds.growth_ratio.fast: is not a number"]),
        ("2.0", "'2.0'", ["thresholds.growth_ratio.fast: is not a number"]),
        ("2.0", "null", ["thresholds.growth_ratio.fast: is not a number"]),
        ("2.0", ".inf", ["thresholds.growth_ratio.fast: is not a finite number"]),
        ("2.0", ".nan", ["thresholds.growth_ratio.fast: is not a finite number"]),
        ("2.0", "9" * 400, ["thresholds.growth_ratio.fast: is not a finite number"]),
        (
            "0.7",
            "70",
            ["thresholds.top10_share.high_risk: 70 is out of the range of top10_share, 0 to 1"],
        ),
        ("{fast: 2.0}", "{}", ["thresholds.growth_ratio: is empty"]),
        ("{fast: 2.0}", "2.0", ["thresholds.growth_ratio: is not a mapping"]),
        (
            "{fast: 2.0}",
            "{fast: 2.0, Slow: 1.0}",
            ["thresholds.growth_ratio.Slow: is not a label (a-z, 0-9 and _, a letter first)"],
        ),
        (
            "{fast: 2.0}",
            "{fast: 2.0, nan: 1.0}",
            ["thresholds.growth_ratio.nan: is not a label (a-z, 0-9 and _, a letter first)"],
        ),
        (
            "verdict:",
            "  volume: {high: 1}\nverdict:",
            [
                (
                    "thresholds.volume: unknown feature 'volume' (one of active_addr_pctl, "
                    "growth_ratio, top10_share, self_loop_ratio)"
                )
            ],
        ),
        # conditions
        ("[growth_ratio >= fast]", "[]", ["verdict.upgrade_if: is empty"]),
        ("[growth_ratio >= fast]", "[1]", ["verdict.upgrade_if[0]: is not a text"]),
        (
            "growth_ratio >= fast",
            "growth >= fast",
            [
                (
                    "verdict.upgrade_if[0]: unknown feature 'growth' (one of active_addr_pctl, "
                    "growth_ratio, top10_share, self_loop_ratio)"
                )
            ],
        ),
        (
            "growth_ratio >= fast",
            "growth_ratio >= high",
            ["verdict.upgrade_if[0]: unknown label 'high' (thresholds.growth_ratio has: fast)"],
        ),
        (
            "growth_ratio >= fast",
            "self_loop_ratio >= fast",
            ["verdict.upgrade_if[0]: unknown label 'fast' (thresholds.self_loop_ratio has: none)"],
        ),
        *(
            (
                "growth_ratio >= fast",
                text,
                [
                    (
                        f"verdict.upgrade_if[0]: {text!r} is not a condition (feature, then >=, <=, > "
                        "or <, then a label or number)"
                    )
                ],
            )
            for text in (
                "growth_ratio == fast",
                "growth_ratio >= fast and top10_share < 1",
                "growth_ratio",
                "fast <= growth_ratio <= fast",
            )
        ),
        *(
            (
                "growth_ratio >= fast",
                f"growth_ratio >= {number}",
                [f"verdict.upgrade_if[0]: {number!r} is not a finite number"],
            )
            for number in ("nan", "inf", "-inf", ".inf", "+Infinity")
        ),
        (
            "growth_ratio >= fast",
            "growth_ratio >= -1",
            ["verdict.upgrade_if[0]: -1 is out of the range of growth_ratio, 0 to inf"],
        ),
        (
            "growth_ratio >= fast",
            "growth_ratio >= 1E999",
            ["verdict.upgrade_if[0]: inf is out of the range of growth_ratio, 0 to inf"],
        ),
        (
            "[growth_ratio >= fast]",
            "[growth_ratio >= fast, growth_ratio>=2]",
            ["verdict.upgrade_if[1]: 'growth_ratio>=2' is there twice"],
        ),
        # the YAML itself
        ("windows: [60]", "windows: [60]\nwindows: [30]", ["windows: is there twice (line 3)"]),
        (
            "{fast: 2.0}",
            "{fast: 2.0, fast: 3.0}",
            ["thresholds.growth_ratio.fast: is there twice (line 4)"],
        ),
        (
            "{fast: 2.0}",
            "{fast: 2.0, on: 1.0}",
            ["thresholds.growth_ratio: the key 'on' is not a text (quote it)"],
        ),
        (
            "{fast: 2.0}",
            "{fast: 2.0, <<: {slow: 1.0}}",
            ["thresholds.growth_ratio: the key '<<' is not a text (quote it)"],
        ),
        (
            "{fast: 2.0}\n  top10_share: {high_risk: 0.7}",
            "&x {fast: 1.0}\n  top10_share: *x",
            ["thresholds.top10_share: is an alias (write the value out)"],
        ),
        (
            "{fast: 2.0}",
            '{fast: 2.0, "a\\nb": 1.0}',
            ["thresholds.growth_ratio['a\\nb']: is not a label (a-z, 0-9 and _, a letter first)"],
        ),
    ],
)
def test_a_fault_is_named_by_its_path(old: str, new: str, expected: list[str]) -> None:
    assert old in GOOD
    assert faults(GOOD.replace(old, new, 1)) == expected


def test_every_fault_is_told_at_once() -> None:
    content = GOOD.replace("[60]", "[45]").replace("fast]", "slow]").replace("0.7", "7")
    assert faults(content) == [
        "windows[0]: 45 is not a window (one of 30, 60, 180)",
        "thresholds.top10_share.high_risk: 7 is out of the range of top10_share, 0 to 1",
        "verdict.upgrade_if[0]: unknown label 'slow' (thresholds.growth_ratio has: fast)",
    ]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("", "is not a mapping"),
        ("[1]", "is not a mapping"),
        ("a: [", "line 1: not YAML: \"expected the node content, but found '<stream end>'\""),
        (
            "a: !!python/object/apply:os.system [id]",
            (
                'line 1: not YAML: "could not determine a constructor for the tag '
                "'tag:yaml.org,2002:python/object/apply:os.system'\""
            ),
        ),
        ("a: 2024-13-45", "not YAML: 'month must be in 1..12'"),
        ("--- 1\n--- 2", "line 2: not YAML: 'but found another document'"),
        ("[" * 60_000, "nested too deeply"),
        (b"#" * (MAX_FILE_BYTES + 1), f"is larger than {MAX_FILE_BYTES} bytes"),
    ],
)
def test_what_is_no_plain_yaml_is_refused(content: str | bytes, fault: str) -> None:
    assert faults(content) == [fault]


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"a: \x01", b"a: " + b"9" * 5000])
def test_bytes_that_are_no_text_are_refused(content: bytes) -> None:
    assert faults(content)[0].startswith("not YAML: ")


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RulesError) as caught:
        load_rules(tmp_path / "none.yml")
    assert str(caught.value) == (
        f"rules file '{tmp_path}/none.yml': cannot be read: No such file or directory "
        "(set ONCHAIN_RULES_FILE)"
    )
    with pytest.raises(RulesError, match="cannot be read: Is a directory"):
        load_rules(tmp_path)


@pytest.mark.parametrize("number", ["1:30", "074", "6_0", "0x1F", "1_000.5", "1:30.5", "0b1"])
def test_a_number_that_yaml_reads_as_another_one_is_refused(number: str) -> None:
    text = f"{number!r} is not a plain number (write it in decimal)"
    assert faults(GOOD.replace("2.0", number)) == [f"thresholds.growth_ratio.fast: {text}"]
    assert faults(GOOD.replace("[60]", f"[{number}]")) == [f"windows[0]: {text}"]


def test_a_threshold_has_all_the_digits_that_are_written() -> None:
    rules = parse_rules(FILE, GOOD.replace("0.7}", "0.70000000000000000001}").encode())
    assert rules.downgrade_if[0].threshold == Decimal("0.70000000000000000001")


def test_a_file_in_utf_16_is_refused() -> None:
    assert faults(GOOD.encode("utf-16")) == ["not YAML: not UTF-8 at byte 0 (save it as UTF-8)"]


def test_a_fifo_or_device_is_refused_and_nobody_waits_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for file in (tmp_path / "fifo", Path("/dev/zero")):
        with pytest.raises(RulesError, match=r"is not a regular file \(set ONCHAIN_RULES_FILE\)$"):
            load_rules(file)
