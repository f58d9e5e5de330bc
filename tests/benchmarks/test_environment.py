"""The benchmarks that run in the peers' environment say how to make it where it is missing."""

from importlib import import_module
from pathlib import Path

import pytest


@pytest.mark.parametrize("name", ["peers", "stalls", "drifts"])
def test_without_the_peers_environment_it_says_how_to_make_it(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    benchmark = import_module(f"benchmarks.{name}.__main__")
    monkeypatch.setattr(benchmark, "PYTHON", tmp_path / "python")
    with pytest.raises(SystemExit) as ended:
        benchmark.main([])
    assert ended.value.code == 2
    assert f".venv-peers is missing (run `make {name}`)" in capsys.readouterr().err
