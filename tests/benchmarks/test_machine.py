"""Where a benchmark leaves its result, and what is in it."""

import json
import tempfile
from pathlib import Path

import pytest

from benchmarks import machine
from benchmarks.machine import Arguments, Figures, Samples, argument_parser, sample_seconds

FIGURES: Figures = {"runs": 2, "part": {"time_s": 1.5}}
SAMPLES: Samples = {"part": {"time_s": [1.0, 2.0]}}


@pytest.fixture
def tracked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands for `benchmarks/results/`, with one result in it."""
    folder = tmp_path / "tracked"
    folder.mkdir()
    (folder / "sealing.json").write_text("kept")
    monkeypatch.setattr(machine, "RESULTS", folder)
    return folder


def written(*words: str) -> None:
    arguments = argument_parser("A benchmark.").parse_args(list(words), namespace=Arguments())
    arguments.write("sealing", FIGURES, SAMPLES)


def test_a_result_keeps_samples_beside_medians(tracked: Path, tmp_path: Path) -> None:
    written("--output", str(tmp_path / "new" / "folder"))
    result = json.loads((tmp_path / "new" / "folder" / "sealing.json").read_text())
    assert result["figures"] == FIGURES
    assert result["samples"] == {"part.time_s": [1.0, 2.0]}
    assert result["machine"]["commit"]
    assert (tracked / "sealing.json").read_text() == "kept"


def test_without_a_folder_the_result_goes_to_a_fresh_one(
    tracked: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    written()
    (path,) = tmp_path.glob("darkpool-benchmarks-*/sealing.json")
    assert str(path) in capsys.readouterr().out
    assert (tracked / "sealing.json").read_text() == "kept"


def test_update_alone_replaces_the_tracked_result(tracked: Path) -> None:
    with pytest.raises(SystemExit):
        written("--output", str(tracked))
    assert (tracked / "sealing.json").read_text() == "kept"
    written("--update")
    assert json.loads((tracked / "sealing.json").read_text())["figures"] == FIGURES


def test_a_piece_of_work_is_warmed_up_before_its_samples_are_taken() -> None:
    calls: list[None] = []
    assert len(sample_seconds(lambda: calls.append(None), runs=3)) == 3
    assert len(calls) == 4
