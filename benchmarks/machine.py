"""How a figure is measured, on what, and where it is kept.

A result goes to a folder of its own; `--update` alone replaces those of `benchmarks/results/`.
"""

import gc
import json
import os
import platform
import resource
import subprocess
import tempfile
import time
from argparse import ArgumentParser, ArgumentTypeError, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TypeAlias

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PACKAGES = ("numba", "numpy", "py-evm", "pycryptodome", "tenseal", "web3")

Figures: TypeAlias = Mapping[str, "int | float | str | Figures"]
"""What a benchmark found, by name; medians, where it ran more than once."""

Samples: TypeAlias = Mapping[str, "Sequence[float] | Samples"]
"""What it measured in each run, unrounded and in order."""


class Arguments(Namespace):
    """What a benchmark was told on its command line."""

    output: Path | None
    update: bool

    def write(self, name: str, figures: Figures, samples: Samples) -> None:
        """Print figures, a line each, and write them with samples and machine to NAME.json."""
        rows = dict(_rows(figures))
        width = max(map(len, rows))
        for figure, value in rows.items():
            print(f"{figure:{width}} {value}")
        path = self._folder() / f"{name}.json"
        path.write_text(_text(name, figures, samples), encoding="utf-8")
        print(f"written to {path}")

    def _folder(self) -> Path:
        if self.update:
            return RESULTS
        if self.output is None:
            return Path(tempfile.mkdtemp(prefix="darkpool-benchmarks-"))
        self.output.mkdir(parents=True, exist_ok=True)
        return self.output


def argument_parser(description: str | None) -> ArgumentParser:
    """A parser of what every benchmark takes; parse into `Arguments`."""
    parser = ArgumentParser(description=description, formatter_class=RawDescriptionHelpFormatter)
    place = parser.add_mutually_exclusive_group()
    place.add_argument(
        "--output",
        type=_output,
        metavar="DIR",
        help="folder for the result (default: a fresh one among the system's temporary files)",
    )
    place.add_argument(
        "--update", action="store_true", help="replace the tracked result in benchmarks/results"
    )
    return parser


def sample_seconds(work: Callable[[], object], runs: int = 5) -> list[float]:
    """Seconds of each run of a piece of work, after one to warm up."""
    work()
    gc.collect()
    taken = []
    for _ in range(runs):
        begin = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begin)
    return taken


def peak_memory_mib() -> int:
    """The most memory that this process has had resident so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


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


def _output(text: str) -> Path:
    path = Path(text)
    if path.resolve() == RESULTS:
        raise ArgumentTypeError(f"expected another folder than that of --update, got {text}")
    return path


def _rows(tree: Figures | Samples, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Leaves of a tree by dotted name."""
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _rows(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _text(name: str, figures: Figures, samples: Samples) -> str:
    """A result as JSON; the samples of a figure are on one line."""
    result = {
        "benchmark": name,
        "version": 2,
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "figures": figures,
        "machine": machine(),
    }
    head = json.dumps(result, indent=2).removesuffix("\n}")
    lines = (f"    {json.dumps(row)}: {json.dumps(taken)}" for row, taken in _rows(samples))
    return head + ',\n  "samples": {\n' + ",\n".join(lines) + "\n  }\n}\n"


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
