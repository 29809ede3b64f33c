"""The plain twin on a million orders: the baseline that the encrypted auction is compared with."""

import statistics
import time
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import write_result
from darkpool.crossing.clearing import Book, Cross, clear_reference, clear_uniform
from darkpool.units import Tick

TICKS = 1024
RUNS = 9


@dataclass(frozen=True, slots=True)
class Figures:
    """Nanoseconds an order, from columns of orders to fills: median and range of the runs."""

    orders: int
    ticks: int
    runs: int
    uniform_ns: float
    uniform_ns_min: float
    uniform_ns_max: float
    reference_ns: float


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


def measure(orders: int) -> Figures:
    """Time both auctions, input checks included."""
    sides, sizes, limits, priority = columns(orders)
    uniform, reference = [], []
    for _ in range(RUNS):
        start = time.perf_counter_ns()
        crossed = clear_uniform(Book(sides, sizes, limits, TICKS), priority)
        middle = time.perf_counter_ns()
        at_reference = clear_reference(
            Book(sides, sizes, limits, TICKS), Tick(TICKS // 2), priority
        )
        end = time.perf_counter_ns()
        if not (isinstance(crossed, Cross) and isinstance(at_reference, Cross)):
            raise SystemExit("the benchmark's book has to cross")
        uniform.append((middle - start) / orders)
        reference.append((end - middle) / orders)
    return Figures(
        orders=orders,
        ticks=TICKS,
        runs=RUNS,
        uniform_ns=round(statistics.median(uniform), 1),
        uniform_ns_min=round(min(uniform), 1),
        uniform_ns_max=round(max(uniform), 1),
        reference_ns=round(statistics.median(reference), 1),
    )


def main() -> None:
    """Measure a real auction's size and a million orders; print and keep the figures."""
    figures = {str(orders): asdict(measure(orders)) for orders in (1000, 1_000_000)}
    for row in figures.values():
        print(
            f"{row['orders']:>9} orders: uniform price {row['uniform_ns']:7.1f} ns an order "
            f"({row['uniform_ns_min']:.1f} to {row['uniform_ns_max']:.1f}), "
            f"reference price {row['reference_ns']:7.1f}"
        )
    print(write_result("plain_twin", figures))


if __name__ == "__main__":
    main()
