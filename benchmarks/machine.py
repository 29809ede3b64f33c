"""How a figure is measured, on what, and where it is kept."""

import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PACKAGES = ("numba", "numpy", "py-evm", "pycryptodome", "tenseal", "web3")


def machine() -> dict[str, str | int | dict[str, str]]:
    """Describe processor, memory, versions and the commit that was measured."""
    return {
        "cpu": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_mib": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "commit": _commit(),
    }


def write_result(name: str, figures: Mapping[str, object]) -> Path:
    """Write the figures of a benchmark, with the machine, to `benchmarks/results/NAME.json`."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    result = {
        "benchmark": name,
        "version": 1,
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "figures": dict(figures),
        "machine": machine(),
    }
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return path


def show_result(name: str, figures: Mapping[str, object]) -> None:
    """Print the figures of a benchmark, a line each, and write them as `write_result` does."""
    width = max(map(len, figures))
    for figure, value in figures.items():
        print(f"{figure:{width}} {value}")
    print(f"written to {write_result(name, figures)}")


def median_seconds(work: Callable[[], object], runs: int = 5) -> float:
    """Median of some runs of a piece of work, after one to warm up."""
    work()
    taken = []
    for _ in range(runs):
        begin = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def _commit() -> str:
    """Return the commit, marked when a tracked file differs from it."""
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return described.stdout.strip() or "unknown"
