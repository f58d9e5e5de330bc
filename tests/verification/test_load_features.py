"""The command load_features: a file of features is loaded as a whole, or not at all."""

import json
import os
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from django.core.management import CommandError, call_command
from pyarrow import parquet

from signals.models import OnchainFeature
from tests.verification.sample_rows import ADDRESS, NOW

pytestmark = pytest.mark.django_db

HEADER = "chain,address,as_of_ts,window_minutes,calc_version,growth_ratio,addr_active"
TIME = "2026-03-01T12:00:00Z"


def csv_file(folder: Path, *lines: str, header: str = HEADER) -> Path:
    file = folder / "features.csv"
    file.write_text("\n".join([header, *lines]) + "\n")
    return file


def line(**changed: Any) -> str:
    values = {
        "chain": "base",
        "address": ADDRESS,
        "as_of_ts": TIME,
        "window_minutes": 60,
        "calc_version": 2,
        "growth_ratio": "1.5",
        "addr_active": 7,
        **changed,
    }
    return ",".join(str(value) for value in values.values())


def loaded(file: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    call_command("load_features", file, "--json")
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def refused(file: Path, code: int, capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    """Return the error and the output of a load that leaves the table as it was."""
    before = list(OnchainFeature.objects.values())
    with pytest.raises(CommandError) as caught:
        call_command("load_features", file)
    assert caught.value.returncode == code
    assert list(OnchainFeature.objects.values()) == before
    return str(caught.value), capsys.readouterr().out


def test_a_csv_file_is_loaded_with_all_digits_and_empty_values_as_null(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    digits = "1.03529999999999999999"
    file = csv_file(tmp_path, line(growth_ratio=digits), line(window_minutes=30, growth_ratio=""))
    assert loaded(file, capsys) == {
        "lines": 2,
        "added": 2,
        "replaced": 0,
        "kept": 0,
        "bad": 0,
        "bad_lines": [],
    }
    first, second = OnchainFeature.objects.order_by("-window_minutes")
    assert (first.chain, first.address, first.as_of_ts) == ("base", ADDRESS, NOW)
    assert (first.growth_ratio, first.addr_active, first.tx_count) == (Decimal(digits), 7, None)
    assert second.growth_ratio is None


def test_a_newer_calc_version_wins_and_an_equal_or_older_one_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def growth() -> tuple[int, Decimal | None]:
        return OnchainFeature.objects.values_list("calc_version", "growth_ratio").get()

    loaded(csv_file(tmp_path, line(calc_version=2, growth_ratio="2")), capsys)
    for version, after in ((1, (2, 2)), (2, (2, 2)), (3, (3, 9))):
        found = loaded(csv_file(tmp_path, line(calc_version=version, growth_ratio="9")), capsys)
        assert growth() == after
        assert (found["replaced"], found["kept"]) == ((1, 0) if version == 3 else (0, 1))


def test_of_several_lines_of_one_measurement_the_newest_version_is_loaded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [line(calc_version=2, growth_ratio=3), line(calc_version=1, growth_ratio=2)]
    found = loaded(csv_file(tmp_path, *lines, lines[0]), capsys)
    assert (found["lines"], found["added"], found["kept"]) == (3, 1, 2)
    assert OnchainFeature.objects.get().growth_ratio == 3


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"chain": "no chain"}, "chain 'no chain' is not the name of a chain"),
        ({"address": ""}, "address is empty"),
        ({"address": "a b"}, "address 'a b' is not an address"),
        ({"as_of_ts": "now"}, "as_of_ts 'now' is not a time (write it as 2026-03-01T12:00:00Z)"),
        (
            {"as_of_ts": "2026-03-01T12:00:00"},
            "as_of_ts '2026-03-01T12:00:00' has no time zone (write it as 2026-03-01T12:00:00Z)",
        ),
        (
            {"as_of_ts": "0001-01-01T00:00:00Z"},
            "as_of_ts '0001-01-01T00:00:00Z' is not in the years 1970 to 9998",
        ),
        ({"window_minutes": 61}, "window_minutes '61' is not a window (one of 30, 60, 180)"),
        ({"calc_version": 0}, "calc_version '0' is not a whole number from 1 to 2147483647"),
        ({"growth_ratio": "NaN"}, "growth_ratio 'NaN' is not a finite number"),
        ({"growth_ratio": "1_5"}, "growth_ratio '1_5' is not a finite number"),
        ({"addr_active": -1}, "addr_active '-1' is not a whole number from 0 to 2147483647"),
        (
            {"addr_active": 2**31},
            "addr_active '2147483648' is not a whole number from 0 to 2147483647",
        ),
        ({"addr_active": "1,2"}, "has 8 values, and the header has 7"),
    ],
)
def test_a_bad_line_is_told_by_its_number_and_nothing_is_loaded(
    changed: dict[str, Any], problem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loaded(csv_file(tmp_path, line(as_of_ts="2026-02-01T12:00:00Z")), capsys)
    bad = line(**{"window_minutes": 30, **changed})
    file = csv_file(tmp_path, line(), "", bad, line(window_minutes=180))
    error, out = refused(file, 1, capsys)
    assert error == "nothing was loaded: 1 bad lines"
    assert out == f"line 4: {problem}\n"


def test_lines_of_one_version_that_contradict_each_other_are_bad(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = csv_file(tmp_path, line(), line(), line(growth_ratio=2), line(growth_ratio=""))
    _, out = refused(file, 1, capsys)
    assert out == "line 4: contradicts line 2\nline 5: contradicts line 2\n"


def test_a_hundred_bad_lines_are_listed_and_the_others_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = csv_file(tmp_path, *[line(chain="?")] * 250)
    error, out = refused(file, 1, capsys)
    assert error == "nothing was loaded: 250 bad lines"
    assert len(out.splitlines()) == 101
    assert out.splitlines()[-1] == "and 150 more"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"chain,address\n", "has no column as_of_ts, window_minutes, calc_version"),
        (b"", "has no column chain, address, as_of_ts, window_minutes, calc_version"),
        (f"{HEADER},price\n".encode(), "has the unknown column 'price'"),
        (f"{HEADER},chain\n".encode(), "has a column twice"),
        (f"{HEADER}\n{line()}\n".encode("utf-16"), "is not UTF-8 at line 1 (save it as UTF-8)"),
        (f"{HEADER}\n{line()}\n".encode() + b"\xff\n", "is not UTF-8 at line 3 (save it as UTF-8)"),
        (f'{HEADER}\n"{line()}\n'.encode(), "is not CSV at line 2: unexpected end of data"),
    ],
)
def test_a_file_that_is_no_such_csv_is_refused_as_a_whole(
    content: bytes, problem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "features.csv"
    file.write_bytes(content)
    error, _ = refused(file, 4, capsys)
    assert problem in error


def test_a_byte_order_mark_is_read_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "features.csv"
    file.write_bytes(f"{HEADER}\r\n{line()}\r\n".encode("utf-8-sig"))
    assert loaded(file, capsys)["added"] == 1


def test_files_that_are_none_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(tmp_path / "fifo.csv")
    for name, problem in (
        ("none.csv", "cannot be read: No such file or directory"),
        ("fifo.csv", "is not a regular file"),
        ("features.txt", "is neither .csv nor .parquet (rename it)"),
    ):
        error, _ = refused(tmp_path / name, 4, capsys)
        assert problem in error


def parquet_file(folder: Path, **changed: Any) -> Path:
    columns = {
        "chain": ["base", "base"],
        "address": [ADDRESS, ADDRESS],
        "as_of_ts": pa.array([NOW, NOW], pa.timestamp("us", "UTC")),
        "window_minutes": [60, 30],
        "calc_version": [2, 2],
        "growth_ratio": pa.array([Decimal("1.03529999999999999999"), None], pa.decimal128(30, 20)),
        "top10_share": [0.1, 0.2],
        **changed,
    }
    file = folder / "features.parquet"
    parquet.write_table(pa.table(columns), file)
    return file


def test_a_parquet_file_is_loaded_like_a_csv_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert loaded(parquet_file(tmp_path), capsys)["added"] == 2
    first, second = OnchainFeature.objects.order_by("-window_minutes")
    assert (first.as_of_ts, first.growth_ratio) == (NOW, Decimal("1.03529999999999999999"))
    assert (second.growth_ratio, second.top10_share) == (None, Decimal("0.2"))


def test_a_bad_row_of_a_parquet_file_is_told_by_its_number(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = parquet_file(tmp_path, top10_share=[0.1, float("nan")])
    assert refused(file, 1, capsys)[1] == "line 2: top10_share 'nan' is not a finite number\n"
    naive = datetime(2026, 3, 1, 12, tzinfo=UTC).replace(tzinfo=None)
    file = parquet_file(tmp_path, as_of_ts=[naive, naive])
    assert "line 1: as_of_ts '2026-03-01T12:00:00' has no time zone" in refused(file, 1, capsys)[1]
    file.write_bytes(b"PAR1 is not all of it")
    assert "is not Parquet" in refused(file, 4, capsys)[0]


def test_without_pyarrow_a_parquet_file_is_refused_with_the_fix(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = parquet_file(tmp_path)
    monkeypatch.setitem(sys.modules, "pyarrow", None)  # as if it were not installed
    assert refused(file, 3, capsys)[0] == (
        "a Parquet file needs the package pyarrow (pip install pyarrow, or load a CSV file)"
    )
