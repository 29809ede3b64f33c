"""The shorter benchmarks, each with few runs: they still measure what they say."""

import json
import sys
from importlib import import_module
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "runs"),
    [
        ("sealing", 4),
        ("plain_twin", 1),
        ("comparison", 1),
        ("risk", None),
        ("valuation", None),
        ("custody", 1),
    ],
)
def test_a_benchmark_writes_its_figures(
    name: str, runs: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = import_module(f"benchmarks.{name}")
    if runs is not None:
        monkeypatch.setattr(module, "RUNS", runs)
    monkeypatch.setattr(sys, "argv", [name, "--output", str(tmp_path)])
    module.main()
    result = json.loads((tmp_path / f"{name}.json").read_text())
    assert result["benchmark"] == name
    assert result["figures"]
