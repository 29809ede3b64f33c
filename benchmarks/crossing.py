"""1,000 sealed intents on 1,024 ticks: from the closed batch to price and fills, masks ready.

Everything from the aggregated ciphertexts on, the four local keypers' decryption shares included.
They compute each share once between them, which on machines of their own they would do at the same
time. The plain twin crosses the same book; the ratio is the overhead of encryption.
"""

import resource
import secrets
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.committees import Bench, start
from benchmarks.machine import write_result
from crypto.curves import intent_vector
from crypto.encryption import encrypt_slots
from crypto.lanes import LaneShape
from crypto.masks import DrawnMask
from crypto.packing import arranged
from crypto.params import STANDARD
from crypto.price_lanes import PriceLayout
from crypto.rationing import RationLayout
from crypto.wellformed import shape_words
from darkpool.crossing.book import SealedBook
from darkpool.crossing.clearing import Book, Cross, clear_uniform
from darkpool.crossing.encrypted import EncryptedCross, EncryptedCrossing
from darkpool.units import Interval, Lots

INTENTS = 1000
TICKS = 1024
CAP = 100
RUNS = 5


@dataclass(frozen=True, slots=True)
class Run:
    """Seconds of one auction; `arrival` is what is done before close, for all intents."""

    masks_s: float
    arrival_s: float
    crossing_s: float
    twin_s: float


def random_book(generator: np.random.Generator) -> Book:
    """Buyers a little above sellers, around the middle of the grid."""
    sides = generator.integers(0, 2, INTENTS)
    centre = TICKS / 2 + np.where(sides == 0, 10, -10)
    limits = np.clip(np.rint(generator.normal(centre, TICKS / 20)), 0, TICKS - 1)
    return Book(sides, generator.integers(1, 100, INTENTS), limits.astype(np.int64), TICKS)


def auction(bench: Bench, interval: Interval, generator: np.random.Generator) -> Run:
    """Seal, gather and cross one random book, and hold the result against the twin's."""
    book = random_book(generator)
    session, _ = bench.begin(interval)
    begin = time.perf_counter()
    shapes = (
        PriceLayout(STANDARD, TICKS, (INTENTS,)).shape,
        RationLayout(STANDARD, (INTENTS,), (0,)).shape,
    )
    masks = [bench.committee.prepare_mask(shape) for shape in shapes]
    masks_s = time.perf_counter() - begin

    def take(shape: LaneShape) -> DrawnMask:
        mask = masks.pop(0)
        if mask.mask.draw.shape != shape:
            raise RuntimeError(f"expected a mask of {mask.mask.draw.shape}, got asked for {shape}")
        return bench.committee.consume_mask(mask, session.context)

    sealed_book = SealedBook(bench.order)
    arrival_s = 0.0
    columns = zip(book.sides, book.sizes, book.limits, strict=True)
    for index, (side, size, limit) in enumerate(columns):
        vector = intent_vector(STANDARD.order, TICKS, int(side), int(size), int(limit))
        sealed = encrypt_slots(bench.material.order.public, vector, secrets.token_bytes(32))
        begin = time.perf_counter()
        shape_words(bench.order, sealed)
        sealed_book.add(sealed, arranged(bench.order, sealed, index), Lots(CAP))
        arrival_s += time.perf_counter() - begin
    crossing = EncryptedCrossing(
        STANDARD, bench.order, bench.comparison, session, take, TICKS, None, no_exclusion
    )
    ranks = generator.permutation(INTENTS)
    begin = time.perf_counter()
    (crossed,) = crossing.cross([sealed_book], [ranks])
    crossing_s = time.perf_counter() - begin
    begin = time.perf_counter()
    twin = clear_uniform(book, ranks)
    twin_s = time.perf_counter() - begin
    require_equal(crossed, twin, book)
    return Run(masks_s, arrival_s, crossing_s, twin_s)


def no_exclusion(above: dict[int, list[int]]) -> None:
    """Refuse: no order of a random book is above the cap."""
    raise RuntimeError(f"expected sizes within {CAP} lots, got {above} above")


def require_equal(crossed: EncryptedCross | None, twin: object, book: Book) -> None:
    """Check that the encrypted result is the twin's."""
    if not isinstance(twin, Cross) or crossed is None:
        raise RuntimeError(f"expected a cross, got {crossed} and {twin}")
    fills = np.where(book.sides == 0, crossed.bought, crossed.sold)
    same = (crossed.tick, crossed.volume, crossed.short_side) == (
        twin.tick,
        twin.volume,
        twin.short_side,
    )
    if not same or not np.array_equal(fills, twin.fills):
        raise RuntimeError(f"expected {twin}, got {crossed}")


def main() -> None:
    """Run auctions in one process, the first to warm up, and write the result."""
    generator = np.random.default_rng(1)
    runs = []
    with tempfile.TemporaryDirectory() as directory:
        bench = start(Path(directory))
        for number in range(RUNS + 1):
            run = auction(bench, Interval(number + 1), generator)
            print(f"{'warm-up' if number == 0 else f'run {number}'}: {run}", flush=True)
            runs.append(run)
    measured = runs[1:]
    crossing_s = statistics.median(run.crossing_s for run in measured)
    twin_s = statistics.median(run.twin_s for run in measured)
    figures = {
        "intents": INTENTS,
        "ticks": TICKS,
        "keypers": 4,
        "crossing_s": round(crossing_s, 3),
        "crossing_cold_s": round(runs[0].crossing_s, 3),
        "arrival_ms_an_intent": round(
            1e3 * statistics.median(run.arrival_s for run in measured) / INTENTS, 2
        ),
        "masks_off_line_s": round(statistics.median(run.masks_s for run in measured), 1),
        "twin_us": round(1e6 * twin_s, 1),
        "overhead_of_encryption": round(crossing_s / twin_s),
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    for name, value in figures.items():
        print(f"{name:24} {value}")
    print(f"written to {write_result('crossing', figures)}")


if __name__ == "__main__":
    main()
