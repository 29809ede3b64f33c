"""The plain twin on a million orders: the baseline that the encrypted auction is compared with."""

import statistics
import time

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import Arguments, argument_parser
from darkpool.crossing.clearing import Book, Cross, clear_reference, clear_uniform
from darkpool.units import Tick

TICKS = 1024
RUNS = 9


def columns(orders: int) -> tuple[NDArray[np.int64], ...]:
    """Draw sides, sizes, limits around the reference, and ranks; the same ones every time."""
    draw = np.random.default_rng(20231225)
    limits = np.rint(draw.normal(TICKS / 2, TICKS / 10, orders)).astype(np.int64)
    return (
        draw.integers(0, 2, orders),
        draw.integers(1, 100, orders),
        limits.clip(0, TICKS - 1),
        draw.permutation(orders),
    )


def measure(orders: int) -> dict[str, list[float]]:
    """Nanoseconds an order of both auctions, from columns of orders to fills; by run."""
    sides, sizes, limits, priority = columns(orders)
    uniform, reference = [], []
    for _ in range(RUNS):
        start = time.perf_counter_ns()
        crossed = clear_uniform(Book(sides, sizes, limits, TICKS), Tick(TICKS // 2), priority)
        middle = time.perf_counter_ns()
        at_reference = clear_reference(
            Book(sides, sizes, limits, TICKS), Tick(TICKS // 2), priority
        )
        end = time.perf_counter_ns()
        if not (isinstance(crossed, Cross) and isinstance(at_reference, Cross)):
            raise SystemExit("the benchmark's book has to cross")
        uniform.append((middle - start) / orders)
        reference.append((end - middle) / orders)
    return {"uniform_ns": uniform, "reference_ns": reference}


def main() -> None:
    """Measure a real auction's size and a million orders; write the result."""
    arguments = argument_parser(__doc__).parse_args(namespace=Arguments())
    samples = {str(orders): measure(orders) for orders in (1000, 1_000_000)}
    figures = {
        orders: {
            "ticks": TICKS,
            "runs": RUNS,
            **{name: round(statistics.median(taken), 1) for name, taken in measured.items()},
        }
        for orders, measured in samples.items()
    }
    arguments.write("plain_twin", figures, samples)


if __name__ == "__main__":
    main()
