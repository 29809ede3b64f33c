"""Price and seven Greeks of 1,000,000 options, and the same from QuantLib, one by one.

The kernel holds no lock, so the options are shared out to a thread for each core.
"""

import os
import statistics
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import QuantLib

from benchmarks.machine import Arguments, argument_parser, sample_seconds
from darkpool.margin.valuation.black import OptionValues, black_76

OPTIONS = 1_000_000
QUANTLIB_OPTIONS = 20_000
Columns = tuple[npt.NDArray[np.bool_ | np.float64], ...]


def options(count: int) -> Columns:
    """Calls and puts at all strikes and from days to years: kind, forward, strike and so on."""
    generator = np.random.default_rng(1)
    return (
        generator.integers(0, 2, count) == 1,
        np.full(count, 60_000.0),
        60_000 * np.exp(generator.normal(0, 0.3, count)),
        generator.uniform(0.2, 1.2, count),
        generator.uniform(0.01, 2, count),
        np.full(count, 0.04),
    )


def ours(columns: Columns, threads: int) -> list[OptionValues]:
    """All options, shared out to threads."""
    parts = zip(*(np.array_split(column, threads) for column in columns), strict=True)
    with ThreadPoolExecutor(threads) as executor:
        return list(executor.map(lambda part: black_76(*part), parts))


def theirs(columns: Columns) -> float:
    """The same numbers from QuantLib's calculator; the sum of the prices."""
    total = 0.0
    for call, forward, strike, volatility, years, rate in zip(
        *(column.tolist() for column in columns), strict=True
    ):
        kind = QuantLib.Option.Call if call else QuantLib.Option.Put
        payoff = QuantLib.PlainVanillaPayoff(kind, strike)
        deviation, discount = volatility * years**0.5, float(np.exp(-rate * years))
        found = QuantLib.BlackCalculator(payoff, forward, deviation, discount)
        total += found.value()
        found.deltaForward(), found.gammaForward(), found.vega(years)
        found.theta(forward, years), found.rho(years)
    return total


def main() -> None:
    """Measure both in one run and write the result."""
    arguments = argument_parser(__doc__).parse_args(namespace=Arguments())
    columns, cores = options(OPTIONS), len(os.sched_getaffinity(0))
    few = tuple(column[:QUANTLIB_OPTIONS] for column in columns)
    price = float(sum(part.price.sum() for part in ours(few, cores)))
    if abs(theirs(few) / price - 1) > 1e-10:
        raise RuntimeError(f"expected the prices of QuantLib, {theirs(few)}, got {price}")
    samples = {
        "one_thread_s": sample_seconds(lambda: ours(columns, 1)),
        "threads_s": sample_seconds(lambda: ours(columns, cores)),
        "quantlib_s": sample_seconds(lambda: theirs(few)),
    }
    one, every, quantlib = map(statistics.median, samples.values())
    one, every, quantlib = one / OPTIONS, every / OPTIONS, quantlib / QUANTLIB_OPTIONS
    figures = {
        "options": OPTIONS,
        "quantlib_options": QUANTLIB_OPTIONS,
        "one_thread_ns": round(1e9 * one, 1),
        "threads": cores,
        "threads_ns": round(1e9 * every, 1),
        "quantlib_ns": round(1e9 * quantlib, 1),
        "quantlib_over_one_thread": round(quantlib / one, 1),
        "quantlib_over_threads": round(quantlib / every, 1),
    }
    arguments.write("valuation", figures, samples)


if __name__ == "__main__":
    main()
