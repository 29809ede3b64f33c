"""One exact encrypted comparison of 26-bit numbers, by number of lanes; one process, one core.

On line is everything between the opened y and the encrypted bits; the mask is prepared off line.
"""

import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.committees import start
from benchmarks.machine import Arguments, argument_parser
from crypto.bfv.lanes import LaneShape
from crypto.circuits.comparison import Comparator
from crypto.ring.params import STANDARD

RUNS = 5


def main() -> None:
    """Measure all four shapes, sign lanes and bounded lanes, and write the result."""
    arguments = argument_parser(__doc__).parse_args(namespace=Arguments())
    with tempfile.TemporaryDirectory() as directory:
        bench = start(Path(directory))
    comparator = Comparator(bench.evaluators.comparison)
    generator = np.random.default_rng(1)
    figures: dict[str, dict[str, float]] = {}
    samples: dict[str, dict[str, list[float]]] = {}
    for lanes in (2048, 4096, 8192, 16384):
        shape = LaneShape(STANDARD, lanes)
        begin = time.perf_counter()
        mask = bench.committee.prepare_mask(shape).mask
        mask_s = time.perf_counter() - begin
        row, taken = {"mask_off_line_s": round(mask_s, 2)}, {"mask_off_line_s": [mask_s]}
        opened = generator.integers(0, STANDARD.order_ring.plain_modulus, lanes)
        for name, kind in (("sign", False), ("bounded", True)):
            bounded = np.full(lanes, kind)
            times_s = []
            for _ in range(RUNS):
                begin = time.perf_counter()
                comparator.compare(mask, opened, bounded)
                times_s.append(time.perf_counter() - begin)
            taken[f"{name}_s"] = times_s
            row[f"{name}_s"] = round(statistics.median(times_s), 3)
            row[f"{name}_us_a_lane"] = round(1e6 * statistics.median(times_s) / lanes, 1)
        figures[str(lanes)], samples[str(lanes)] = row, taken
        print(f"{lanes:6} lanes: {row}", flush=True)
    arguments.write("comparison", figures, samples)


if __name__ == "__main__":
    main()
